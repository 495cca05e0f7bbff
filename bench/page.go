package main

// page.go: the same as one HTML page with plots, that opens without a network.

import (
	"embed"
	"html/template"
	"io"

	"c100k/loadgen/report"
	"c100k/loadgen/report/uplot"
)

//go:embed page
var pageFiles embed.FS

var page = template.Must(template.New("page.html").Funcs(template.FuncMap{
	"style":       func() template.CSS { return template.CSS(report.Style) },
	"uplotStyle":  func() template.CSS { return uplot.Style },
	"uplotScript": func() template.JS { return uplot.Script },
	"script": func() (template.JS, error) {
		text, err := pageFiles.ReadFile("page/page.js")
		return template.JS(text), err
	},
	"short": short,
}).ParseFS(pageFiles, "page/page.html"))

// plot is one figure of all servers.
type plot struct {
	ID       string     `json:"id"`
	Title    string     `json:"-"`
	What     string     `json:"-"`
	Decimals int        `json:"decimals"`
	Bars     []bar      `json:"bars"`
	Table    [][]string `json:"-"`
}

// bar is one server in a plot.
type bar struct {
	Server string `json:"server"`
	Kind   kind   `json:"kind"`
	spread
	Void bool `json:"void"`
}

// pageView is what the template sees.
type pageView struct {
	*document
	Plots []plot
}

// writeHTML writes the page. All text in it is escaped by html/template, the data of the plots
// included.
func (d *document) writeHTML(w io.Writer) error {
	v := pageView{document: d, Plots: []plot{}}
	for _, sc := range d.scenarios {
		for _, f := range sc.figures {
			p := plot{ID: "plot-" + sc.name + "-" + f.key, Title: f.title, What: sc.what, Decimals: f.decimals}
			for _, t := range d.Servers {
				c := collect(d.Runs, sc.name, f.key, t.Name)
				if len(c.values) == 0 {
					continue
				}
				b := bar{t.Name, t.Kind, spreadOf(c.list()), c.void}
				p.Bars = append(p.Bars, b)
				p.Table = append(p.Table, []string{t.Name, d.cell(sc, f, t.Name)})
			}
			if len(p.Bars) > 0 {
				v.Plots = append(v.Plots, p)
			}
		}
	}
	return page.Execute(w, v)
}

// Headline and Notes are for the template.
func (v pageView) Headline() string { return v.headline() }
