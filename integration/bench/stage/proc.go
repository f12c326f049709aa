package stage

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Usage is the memory of a process, in bytes.
type Usage struct {
	RSS  int64 // resident, shared pages in full
	PSS  int64 // resident, shared pages in proportion
	Anon int64 // what of RSS is the process's own and no file's
	Peak int64 // of RSS
}

// String shows all four, for people.
func (u Usage) String() string {
	mb := func(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/(1<<20)) }
	return fmt.Sprintf("%s RSS (%s anonymous, %s PSS, peak %s)", mb(u.RSS), mb(u.Anon), mb(u.PSS), mb(u.Peak))
}

// Memory asks the kernel what weir uses. See proc(5): status and smaps_rollup.
func (w *World) Memory() (Usage, error) {
	pid := w.proc.Process.Pid
	status, err := kilobytes(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return Usage{}, err
	}
	rollup, err := kilobytes(filepath.Join("/proc", strconv.Itoa(pid), "smaps_rollup"))
	if err != nil {
		return Usage{}, err
	}
	return Usage{RSS: status["VmRSS"], Peak: status["VmHWM"], Anon: status["RssAnon"], PSS: rollup["Pss"]}, nil
}

// kilobytes reads the lines "Name:  123 kB" of a file, as bytes.
func kilobytes(file string) (map[string]int64, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("memory: %w", err)
	}
	sizes := map[string]int64{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		if number, isSize := strings.CutSuffix(strings.TrimSpace(value), " kB"); isSize {
			n, err := strconv.ParseInt(number, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("memory: %s: %w", line, err)
			}
			sizes[name] = n << 10
		}
	}
	return sizes, nil
}

// CPU is the processor time that weir took until now, and its children that
// have ended.
func (w *World) CPU() (own, children time.Duration, err error) {
	fields, err := statOf(w.proc.Process.Pid)
	if err != nil {
		return 0, 0, err
	}
	return times(fields)
}
