// A report as a table for people.

package doctor

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// Write prints the table, the ways to lift what is in the way, and the conclusion.
func (r Report) Write(w io.Writer) error {
	out := bytes.Buffer{}
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "LIMIT\tVALUE\tNEEDED\tVERDICT")
	all := slices.Concat(r.Checks, r.Certificates)
	for _, c := range all {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", c.Name, c.Value, c.Needed, c.Verdict)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, c := range all {
		if c.Lift != "" {
			fmt.Fprintf(&out, "\n%s (%s): %s\n    %s\n", c.Name, c.Verdict, c.Note, c.Lift)
		}
	}
	fmt.Fprintf(&out, "\n%s\n", r.conclusion())
	_, err := w.Write(out.Bytes())
	return err
}

func (r Report) conclusion() string {
	holds := "This box sets no bound that can be seen from here."
	if r.Holds != noBound {
		holds = fmt.Sprintf("This box holds %d connections; what limits it is: %s.", r.Holds, r.LimitedBy)
	}
	switch {
	case !r.Able:
		return fmt.Sprintf("%s %d do not fit.", holds, r.Conns)
	case r.Workers > 1:
		return fmt.Sprintf("%s %d fit, in %d workers, since one process may have %d open:\n    %s", holds, r.Conns, r.Workers, r.PerProcess, r.Serve)
	}
	return fmt.Sprintf("%s %d fit.", holds, r.Conns)
}
