package worktree

import (
	"errors"
	"os/exec"
	"strings"

	"weir/planner/checkout/git"
)

// FindLFS says what is missing for files in Git LFS.
func FindLFS() error {
	if _, err := exec.LookPath("git-lfs"); err != nil {
		return errors.New("this repository is configured to use Git LFS, but the program git-lfs is not in the server's PATH: install it, or turn LFS off")
	}
	return nil
}

// lfsConfig lets git-lfs fetch files from the repository itself, whatever an
// .lfsconfig in it says.
func lfsConfig(from *git.Remote) []string {
	return []string{
		"filter.lfs.process=git-lfs filter-process",
		"filter.lfs.required=true",
		"lfs.url=" + strings.TrimSuffix(from.URL, ".git") + ".git/info/lfs",
		"lfs.locksverify=false",
	}
}
