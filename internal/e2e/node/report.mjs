// Chromium opens the page of a load run, without a network: light and dark, wide and narrow.
import { chromium } from 'playwright-core';
import fs from 'node:fs';
import { test, run, equal, base as file, admin as profile } from './tap.mjs';

const shots = process.env.C100K_E2E_SHOTS; // a directory for screenshots; none without it
const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(fs.existsSync);
const context = await chromium.launchPersistentContext(profile, {
  executablePath, headless: true, offline: true,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});

for (const scheme of ['light', 'dark']) {
  for (const width of [1280, 390]) {
    test(`${scheme}, ${width} wide`, async () => {
      const page = await context.newPage();
      const complaints = [];
      page.on('console', m => complaints.push(m.text()));
      page.on('pageerror', e => complaints.push(String(e)));
      page.on('request', r => { if (!r.url().startsWith('file:')) complaints.push('asks for ' + r.url()); });
      await page.addInitScript(() => addEventListener('securitypolicyviolation', e => console.error('CSP: ' + e.violatedDirective)));
      await page.emulateMedia({ colorScheme: scheme });
      await page.setViewportSize({ width, height: 900 });
      await page.goto('file://' + file);
      const seen = await page.evaluate(() => ({
        charts: document.querySelectorAll('figure canvas').length,
        overflow: document.documentElement.scrollWidth - innerWidth,
        page: getComputedStyle(document.body).backgroundColor,
        alerts: document.querySelectorAll('img').length,
        rows: document.querySelectorAll('tbody tr').length,
      }));
      equal(complaints, []);
      equal(seen.charts, 5, 'charts');
      equal(seen.overflow <= 0, true, `overflow of ${seen.overflow} px`);
      equal(seen.alerts, 0, 'elements out of a text');
      equal(seen.rows > 10, true, 'rows');
      const [red] = seen.page.match(/\d+/g).map(Number);
      equal(scheme === 'dark' ? red < 64 : red > 192, true, `background ${seen.page}`);
      // A width that changes draws the charts anew.
      await page.setViewportSize({ width: width - 40, height: 900 });
      await page.waitForFunction(most => [...document.querySelectorAll('figure .uplot')].every(e => e.offsetWidth <= most), width - 40);
      if (shots) {
        await page.setViewportSize({ width, height: 900 });
        await page.waitForTimeout(300);
        await page.screenshot({ path: `${shots}/load-${scheme}-${width}.png`, fullPage: true });
      }
      await page.close();
    });
  }
}

test('end', async () => { await context.close(); });
await run();
