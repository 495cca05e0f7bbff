// The page: one file with everything in it.

package report

import (
	"embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"

	"c100k/loadgen"
	"c100k/loadgen/report/uplot"
	"c100k/loadgen/swarm"
)

//go:embed page
var files embed.FS

// Style is the style sheet of the page. Other pages of this project may have it too.
//
//go:embed page/page.css
var Style string

// pageFunctions are what the template says things with.
var pageFunctions = template.FuncMap{
	"number":      func(n any) string { return number(asUint(n)) },
	"figure":      figure,
	"bytes":       loadgen.FormatBytes,
	"float":       func(n int64) float64 { return float64(n) },
	"percent":     func(share float64) string { return fmt.Sprintf("%.0f %%", share*100) },
	"cores":       func(f float64) string { return fmt.Sprintf("%.2f", f) },
	"style":       func() template.CSS { return template.CSS(Style) },
	"uplotStyle":  func() template.CSS { return uplot.Style },
	"uplotScript": func() template.JS { return uplot.Script },
	"script": func(name string) (template.JS, error) {
		text, err := files.ReadFile(name)
		return template.JS(text), err
	},
	"shell": shellLine,
}

func asUint(n any) uint64 {
	switch n := n.(type) {
	case int:
		return uint64(max(n, 0))
	case int64:
		return uint64(max(n, 0))
	case uint64:
		return n
	}
	return 0
}

var page = template.Must(template.New("page.html").Funcs(pageFunctions).ParseFS(files, "page/page.html"))

// distribution is a row of the table of latencies, and a line of the percentile curve.
type distribution struct {
	Name string
	*loadgen.Latencies
}

// view is what the template sees.
type view struct {
	*Document
	Distributions []distribution
	Charts        charts
}

// charted are the phases that the charts show, each marked. Between two of them the load pauses;
// its fall to nothing would look like an outage of the server.
var charted = []loadgen.Phase{loadgen.Ramp, loadgen.Warm, loadgen.Measure}

// charts is the data of the page's script.
type charts struct {
	Series    []loadgen.Second `json:"series"` // of the phases that are charted
	Curves    []curve          `json:"curves"`
	Server    bool             `json:"server"`
	Publisher bool             `json:"publisher"`
	Churn     bool             `json:"churn"`    // the rate is one of connections
	Connects  bool             `json:"connects"` // the latency that the mode is about is that of connecting
}

type curve struct {
	Name   string               `json:"name"`
	Points []loadgen.Percentile `json:"points"`
}

// WriteHTML writes the page. All text in it is escaped by html/template, the data of the charts
// included.
func (d *Document) WriteHTML(w io.Writer) error {
	r := d.Result
	v := view{Document: d, Charts: charts{Series: []loadgen.Second{}, Curves: []curve{}, Server: r.Server != nil, Publisher: r.Publisher != "",
		Churn: r.Mode == swarm.Churn, Connects: r.Latency() == r.Connect}}
	for _, second := range r.Series {
		if slices.Contains(charted, second.Phase) {
			v.Charts.Series = append(v.Charts.Series, second)
		}
	}
	for _, row := range distributions(r) {
		if row.Latencies == nil {
			continue
		}
		v.Distributions = append(v.Distributions, row)
		if row.Name != distributionPublish {
			v.Charts.Curves = append(v.Charts.Curves, curve{row.Name, row.Percentiles})
		}
	}
	return page.Execute(w, v)
}

// distributionPublish is the name of the only distribution that is not about the connections.
const distributionPublish = "publish"

// distributions are those of a result, with the names that people read; nil where there is none.
func distributions(r *loadgen.Result) []distribution {
	return []distribution{{"connect", r.Connect}, {"TLS, full", r.Full}, {"TLS, resumed", r.Resumed}, {"echo", r.Echo}, {"deliver", r.Deliver}, {"catch-up", r.CatchUp}, {"spread", r.Spread}, {"to the last", r.Last}, {distributionPublish, r.Ack}}
}

// shellLine writes a command line so that a shell takes it back.
func shellLine(arguments []string) string {
	words := []string{"c100k"}
	for _, a := range arguments {
		if a == "" || strings.ContainsFunc(a, func(r rune) bool {
			return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_=:/.,@%+", r))
		}) {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		words = append(words, a)
	}
	return strings.Join(words, " ")
}
