package terraform

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"weir/planner/terraform/source"
)

// What a pull request may name is inside of its checkout, also where it names
// it by a symbolic link. Terraform itself follows every link.

// checkVarFile says why a file of variables, relative to dir, may not be
// given, or "". One that is missing is let through: terraform says so.
func checkVarFile(root, dir, file string) string {
	outside := fmt.Sprintf("the variables file %s is not inside the repository", file)
	path := filepath.Join(dir, filepath.FromSlash(file))
	if filepath.IsAbs(file) || !source.Inside(root, path) {
		return outside
	}
	// The nearest that exists decides, so that nobody learns what exists elsewhere.
	for ; ; path = filepath.Dir(path) {
		switch resolved, err := filepath.EvalSymlinks(path); {
		case errors.Is(err, fs.ErrNotExist) && !isLink(path):
		case err != nil:
			return fmt.Sprintf("the variables file %s is a symbolic link that leads nowhere", file)
		case !source.Inside(root, resolved):
			return outside
		default:
			return ""
		}
	}
}

// taken matches the files of a directory that terraform reads without being
// told to, and the state that it writes there.
var taken = regexp.MustCompile(`^(.*\.(tf|tofu)(\.json)?|terraform\.tfvars(\.json)?|.*\.auto\.tfvars(\.json)?|\.terraform\.lock\.hcl|terraform\.tfstate(\.d|\.backup)?)$`)

// checkLinks says which link in dir would make terraform read or write outside
// of the checkout, or "".
func checkLinks(root, dir, workspace string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	names := []string{filepath.Join("terraform.tfstate.d", workspace), filepath.Join("terraform.tfstate.d", workspace, "terraform.tfstate")}
	for _, entry := range entries {
		if taken.MatchString(entry.Name()) {
			names = append(names, entry.Name())
		}
	}
	for _, name := range names {
		path := filepath.Join(dir, name)
		if !isLink(path) {
			continue
		}
		resolved, err := filepath.EvalSymlinks(path)
		inside := err == nil && source.Inside(root, resolved)
		if !inside { // one that leads nowhere would be written through
			return fmt.Sprintf("%s is a symbolic link that leads out of the repository, or nowhere", strings.ReplaceAll(name, string(filepath.Separator), "/")), nil
		}
	}
	return "", nil
}

func isLink(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode()&fs.ModeSymlink != 0
}
