// The plots of the page: a bar for each server, and a line over it for its spread. Drawn anew when the color scheme or the width changes.
"use strict";
(() => {
  const plots = JSON.parse(document.getElementById("data").textContent);
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const tints = { ours: "a", floor: "c", rival: "b" };

  // The spreads and the names are drawn behind uPlot's own work, on the same canvas.
  function drawBars(plot) {
    return (u) => {
      const { ctx } = u;
      const step = u.valToPos(1, "x", true) - u.valToPos(0, "x", true);
      const floor = u.valToPos(0, "y", true);
      plot.bars.forEach((bar, i) => {
        const x = u.valToPos(i, "x", true), width = step * 0.6;
        const top = u.valToPos(bar.median, "y", true);
        ctx.globalAlpha = bar.void ? 0.35 : 1;
        ctx.fillStyle = color(tints[bar.kind]);
        ctx.fillRect(x - width / 2, top, width, floor - top);
        ctx.strokeStyle = color("text");
        ctx.lineWidth = devicePixelRatio;
        ctx.beginPath();
        ctx.moveTo(x, u.valToPos(bar.min, "y", true));
        ctx.lineTo(x, u.valToPos(bar.max, "y", true));
        ctx.stroke();
        ctx.globalAlpha = 1;
        ctx.fillStyle = color("text");
        ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
        ctx.textAlign = "center";
        ctx.fillText(bar.median.toFixed(plot.decimals), x, u.valToPos(Math.max(bar.max, bar.median), "y", true) - 4 * devicePixelRatio);
      });
    };
  }

  let drawn = [];
  function drawAll() {
    drawn.forEach((u) => u.destroy());
    drawn = plots.map((plot) => {
      const element = document.getElementById(plot.id);
      const n = plot.bars.length;
      const axis = { stroke: color("faint"), font: "12px system-ui, sans-serif", ticks: { show: false } };
      return new uPlot({
        width: element.clientWidth, height: 250, padding: [18, 30, 0, 0], legend: { show: false }, cursor: { show: false },
        scales: { x: { time: false, range: [-0.6, n - 0.4] }, y: { range: (u, low, high) => [0, high * 1.08] } },
        axes: [
          { ...axis, size: 70, rotate: -45, grid: { show: false }, splits: () => plot.bars.map((_, i) => i), values: () => plot.bars.map((bar) => bar.server) },
          { ...axis, size: 58, grid: { stroke: color("line"), width: 1 } },
        ],
        series: [{}, { paths: () => null, points: { show: false } }],
        hooks: { draw: [drawBars(plot)] },
      }, [plot.bars.map((_, i) => i), plot.bars.map((bar) => bar.max)], element);
    });
  }

  drawAll();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  let waiting = 0;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(drawAll, 100);
  });
})();
