package server

import (
	"errors"
	"fmt"
	"io"

	"weir/planner/project"
)

// Validate is `weir validate`: it prints what there is to say about the
// repository in dir. An error means that something needs to be mended.
func Validate(dir string, out io.Writer) error {
	report, err := project.Validate(dir)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprint(out, report.String()); err != nil {
		return err
	}
	if !report.OK() {
		return errors.New("the configuration needs to be mended")
	}
	return nil
}
