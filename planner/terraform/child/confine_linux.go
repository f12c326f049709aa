package child

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What may be done with files, see landlock(7). Listing directories and
// device controls are left alone.
const (
	readAndRun = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_EXECUTE
	changeFile = unix.LANDLOCK_ACCESS_FS_WRITE_FILE
	changeDir  = unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE | unix.LANDLOCK_ACCESS_FS_REFER |
		unix.LANDLOCK_ACCESS_FS_MAKE_CHAR | unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_SOCK |
		unix.LANDLOCK_ACCESS_FS_MAKE_FIFO | unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK | unix.LANDLOCK_ACCESS_FS_MAKE_SYM

	abiRefer, abiTruncate, abiScope = 2, 3, 6
)

// landlock is the version of Landlock that the kernel has; 0: none. The first
// does not let files be moved between directories at all, so it is none.
var landlock = sync.OnceValue(func() int {
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 || version < abiRefer {
		return 0
	}
	return int(version)
})

// Confines says whether commands are held to their reach on this machine.
func Confines() bool { return landlock() > 0 }

func writable(dir string) bool { return unix.Access(dir, unix.W_OK) == nil }

// start starts a command within its reach.
func start(cmd *exec.Cmd, reach Reach) error {
	if !Confines() {
		return cmd.Start()
	}
	started := make(chan error, 1)
	go func() { started <- startConfined(cmd, reach) }()
	return <-started
}

// startConfined takes the rights from its thread, which its child inherits,
// and never gives the thread back, so that it ends with the goroutine.
func startConfined(cmd *exec.Cmd, reach Reach) error {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		// The first thread of a process would not end. While it is held here,
		// another one is found.
		defer runtime.UnlockOSThread()
		return start(cmd, reach)
	}
	if err := confine(reach); err != nil {
		return fmt.Errorf("confine: %w", err)
	}
	return cmd.Start()
}

// confine takes from the calling thread all rights that reach does not give.
func confine(reach Reach) error {
	file := uint64(readAndRun | changeFile)
	if landlock() >= abiTruncate {
		file |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	all := file | changeDir
	attr := unix.LandlockRulesetAttr{Handled_access_fs: all}
	if landlock() >= abiScope {
		attr.Scoped = unix.LANDLOCK_SCOPE_SIGNAL
	}
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0) //nolint:gosec // as landlock_create_ruleset(2) wants it
	if errno != 0 {
		return os.NewSyscallError("landlock_create_ruleset", errno)
	}
	defer unix.Close(int(fd)) // nothing was written
	allow := func(path string, access uint64) error {
		of, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EACCES) {
			return nil // nor can the command open it
		}
		if err != nil {
			return &os.PathError{Op: "open", Path: path, Err: err}
		}
		defer unix.Close(of) // nothing was written
		var stat unix.Stat_t
		if err := unix.Fstat(of, &stat); err != nil {
			return &os.PathError{Op: "stat", Path: path, Err: err}
		}
		if stat.Mode&unix.S_IFMT != unix.S_IFDIR {
			access &= file
		}
		rule := unix.LandlockPathBeneathAttr{Allowed_access: access, Parent_fd: int32(of)}
		if _, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, fd, unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0); errno != 0 { //nolint:gosec // as landlock_add_rule(2) wants it
			return os.NewSyscallError("landlock_add_rule", errno)
		}
		return nil
	}
	for _, rule := range []struct {
		paths  []string
		access uint64
	}{{open("/", reach.hidden()), all}, {reach.Given, all}, {reach.Read, readAndRun}} {
		for _, path := range rule.paths {
			if err := allow(path, rule.access); err != nil {
				return err
			}
		}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl", err)
	}
	if err := dropCapabilities(); err != nil {
		return err
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0); errno != 0 {
		return os.NewSyscallError("landlock_restrict_self", errno)
	}
	return nil
}

// dropCapabilities takes those from the calling thread that would let it read
// other processes in spite of Landlock. Only a weir that runs as root has any.
func dropCapabilities() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return os.NewSyscallError("capget", err)
	}
	before := sets
	for _, c := range []int{unix.CAP_SYS_PTRACE, unix.CAP_SYS_ADMIN, unix.CAP_PERFMON} {
		set, bit := &sets[c/32], uint32(1)<<(c%32)
		set.Effective &^= bit
		set.Permitted &^= bit
		set.Inheritable &^= bit
	}
	if sets == before {
		return nil
	}
	return os.NewSyscallError("capset", unix.Capset(&header, &sets[0]))
}
