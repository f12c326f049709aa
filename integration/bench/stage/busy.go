package stage

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Busy is how much the processors have worked, for whom.
type Busy struct {
	At         time.Time
	all, ours  time.Duration
	processors int
}

// BusyNow counts, for all processors together, what everything took and what
// this program took, its children that have ended and all below it that still
// run. What a hypervisor took away counts as others'.
func BusyNow() (Busy, error) {
	b := Busy{At: time.Now(), processors: runtime.NumCPU()}
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return b, fmt.Errorf("processor time: %w", err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	// cpu user nice system idle iowait irq softirq steal …
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return b, errors.New("processor time: cannot read /proc/stat")
	}
	for _, i := range []int{1, 2, 3, 6, 7, 8} {
		one, err := ticks(fields[i])
		if err != nil {
			return b, err
		}
		b.all += one
	}
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var used syscall.Rusage
		if err := syscall.Getrusage(who, &used); err != nil {
			return b, fmt.Errorf("processor time: %w", err)
		}
		b.ours += time.Duration(used.Utime.Nano() + used.Stime.Nano())
	}
	below, err := descendants(os.Getpid())
	b.ours += below
	return b, err
}

// Others is the part of all processors that was not ours since then.
func (b Busy) Others(since Busy) float64 {
	theirs := b.all - since.all - (b.ours - since.ours)
	return max(0, theirs.Seconds()/(b.At.Sub(since.At).Seconds()*float64(b.processors)))
}

// descendants is the processor time of all processes below one, and of their
// children that have ended.
func descendants(root int) (sum time.Duration, err error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0, fmt.Errorf("processor time: %w", err)
	}
	type process struct {
		parent int
		took   time.Duration
	}
	all := map[int]process{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue // not a process
		}
		fields, err := statOf(pid)
		if err != nil {
			continue // it has ended meanwhile
		}
		parent, err := strconv.Atoi(fields[1])
		if err != nil {
			return 0, fmt.Errorf("processor time: %w", err)
		}
		own, children, err := times(fields)
		if err != nil {
			return 0, err
		}
		all[pid] = process{parent, own + children}
	}
	for pid, p := range all {
		for above := p; pid != root; above = all[above.parent] {
			if above.parent == root {
				sum += p.took
			}
			if above.parent == root || above.parent == 0 {
				break
			}
		}
	}
	return sum, nil
}

// statOf reads what the kernel says of a process: fields 3 and on of
// proc(5): stat.
func statOf(pid int) ([]string, error) {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return nil, fmt.Errorf("processor time: %w", err)
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 15 {
		return nil, errors.New("processor time: a short stat")
	}
	return fields, nil
}

// times are fields 14 to 17 of proc(5): stat.
func times(fields []string) (own, children time.Duration, err error) {
	var n [4]time.Duration
	for i := range n {
		if n[i], err = ticks(fields[11+i]); err != nil {
			return 0, 0, err
		}
	}
	return n[0] + n[1], n[2] + n[3], nil
}

// ticks reads a time as Linux counts it, in hundredths of a second.
func ticks(field string) (time.Duration, error) {
	n, err := strconv.ParseInt(field, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("processor time: %w", err)
	}
	return time.Duration(n) * time.Second / 100, nil
}
