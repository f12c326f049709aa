package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// busy is how much the processors have worked, for whom.
type busy struct {
	at         time.Time
	all, ours  time.Duration
	processors int
}

// busyNow counts, for all processors together, what everything took and what
// this program took and its children that have ended. What a hypervisor took
// away counts as others'. See proc(5): stat, which Linux counts in hundredths
// of a second.
func busyNow() (busy, error) {
	b := busy{at: time.Now(), processors: runtime.NumCPU()}
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
		ticks, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return b, fmt.Errorf("processor time: %w", err)
		}
		b.all += time.Duration(ticks) * time.Second / 100
	}
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var used syscall.Rusage
		if err := syscall.Getrusage(who, &used); err != nil {
			return b, fmt.Errorf("processor time: %w", err)
		}
		b.ours += time.Duration(used.Utime.Nano() + used.Stime.Nano())
	}
	return b, nil
}

// others is the part of all processors that was not ours since then.
func (b busy) others(since busy) float64 {
	theirs := b.all - since.all - (b.ours - since.ours)
	return max(0, theirs.Seconds()/(b.at.Sub(since.at).Seconds()*float64(b.processors)))
}
