package git

import (
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// processGroup gives git a process group of its own, so that it can be ended
// with all that it started, and ends it with this process, however that ends.
func processGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// memoryFile makes a file that exists in memory only, has no name, and is not
// inherited by other children. A child that gets it as its third descriptor
// may open /proc/self/fd/3 any number of times.
func memoryFile(content string) (*os.File, error) {
	fd, err := unix.MemfdCreate("weir", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("memfd: %w", err)
	}
	file := os.NewFile(uintptr(fd), "weir")
	if _, err := io.WriteString(file, content); err != nil {
		_ = file.Close() // the first error counts
		return nil, fmt.Errorf("write memfd: %w", err)
	}
	seals := unix.F_SEAL_WRITE | unix.F_SEAL_GROW | unix.F_SEAL_SHRINK | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(file.Fd(), unix.F_ADD_SEALS, seals); err != nil {
		_ = file.Close() // the first error counts
		return nil, fmt.Errorf("seal memfd: %w", err)
	}
	again, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", file.Fd())) // false where /proc is not mounted
	if err != nil {
		_ = file.Close() // the first error counts
		return nil, err
	}
	return file, again.Close()
}
