//go:build !linux

package git

import (
	"errors"
	"os"
	"syscall"
)

// processGroup gives git a process group of its own, so that it can be ended
// with all that it started.
func processGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// memoryFile exists on Linux only.
func memoryFile(string) (*os.File, error) { return nil, errors.ErrUnsupported }
