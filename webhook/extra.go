package webhook

import (
	"path"
	"strconv"
	"strings"
)

// An extraKind is what the value of an argument after -- has to be.
type extraKind int

const (
	flagOnly extraKind = iota // true, false or nothing
	address                   // of a resource
	variable                  // NAME=VALUE
	varFile                   // a file of the repository
	number
)

// extras holds the arguments of terraform plan that a person may add. All
// others are refused: they would change what state is planned against, where
// the plan file is, or what weir reads back.
var extras = map[string]extraKind{
	"-destroy":     flagOnly,
	"-parallelism": number,
	"-refresh":     flagOnly,
	"-replace":     address,
	"-target":      address,
	"-var":         variable,
	"-var-file":    varFile,
}

var extraNames = []string{"-destroy", "-parallelism", "-refresh", "-replace", "-target", "-var", "-var-file"}

// refusedExtras says why, for those that people may try.
var refusedExtras = map[string]string{
	"-auto-approve":        "what is applied is the plan that was approved",
	"-backend-config":      "the backend is what the repository and the server say",
	"-chdir":               "use `-d DIR` before the `--`",
	"-detailed-exitcode":   "weir reads the plan itself",
	"-generate-config-out": "weir changes no files of the pull request",
	"-input":               "there is nobody to ask",
	"-json":                "weir reads the plan itself",
	"-lock":                "a plan never goes without the lock of its state",
	"-lock-timeout":        "a plan never goes without the lock of its state",
	"-refresh-only":        "weir applies changes of the code, and such a plan has none",
	"-out":                 "weir keeps the plan file, sealed, under its digest",
	"-state":               "the state is where the backend keeps it",
	"-state-out":           "the state is where the backend keeps it",
	"-backup":              "the state is where the backend keeps it",
}

// extra reads the words after -- and returns what is wrong with them. Each
// argument is kept as one word, its name with one dash.
func (c *Command) extra(words []string) (problem string) {
	if len(words) == 0 {
		return ""
	}
	if c.Verb != Plan {
		return "Only `plan` takes arguments after `--`" + when(c.Verb == Apply, ": what is applied is the plan as it was approved") + "."
	}
	for len(words) > 0 {
		word := words[0]
		words = words[1:]
		if !strings.HasPrefix(word, "-") {
			return "I do not know what " + quote(word) + " means after `--`: arguments begin with a dash."
		}
		name, value, found := strings.Cut(word, "=")
		if strings.HasPrefix(name, "--") {
			name = name[1:] // Terraform takes both
		}
		kind, known := extras[name]
		if !known {
			if why := refusedExtras[name]; why != "" {
				return "The argument " + quote(name) + " is refused: " + why + "."
			}
			return "The argument " + quote(name) + " is not among those that weir passes on (" + strings.Join(extraNames, ", ") + ")" +
				nearest(name, extraNames, ".")
		}
		if !found && kind != flagOnly {
			if len(words) == 0 {
				return "The argument " + quote(name) + " needs a value."
			}
			value, words = words[0], words[1:]
			found = true
		}
		if problem := c.checkExtra(name, value, found, kind); problem != "" {
			return problem
		}
		if found {
			name += "=" + value
		}
		if c.Extra = append(c.Extra, name); len(c.Extra) > maxExtra {
			return "At most 20 arguments can follow `--`."
		}
	}
	return ""
}

func (c *Command) checkExtra(name, value string, found bool, kind extraKind) string {
	if kind == flagOnly {
		return when(found && value != "true" && value != "false", "The argument "+quote(name)+" is either `true` or `false`.")
	}
	if problem := first(
		when(value == "", "The argument "+quote(name)+" needs a value."),
		when(len(value) > maxArgument, "The value of "+quote(name)+" is too long."),
		when(!plain(value), "The value of "+quote(name)+" has characters in it that cannot be printed.")); problem != "" {
		return problem
	}
	switch kind {
	case number:
		n, err := strconv.Atoi(value)
		return when(err != nil || n < 1 || n > 256, "The argument "+quote(name)+" is a number from 1 to 256.")
	case variable:
		key, _, ok := strings.Cut(value, "=")
		return when(!ok || strings.TrimSpace(key) == "", "The argument "+quote(name)+" is written `-var NAME=VALUE`.")
	case varFile:
		return c.checkVarFile(value)
	}
	return ""
}

// checkVarFile refuses files outside of the repository. Terraform reads the
// name from the project's directory, which is known only if the command names
// it. Whether a part of the name is a symbolic link can only be seen in the
// checkout.
func (c *Command) checkVarFile(file string) string {
	parts := strings.Split(file, "/")
	up := false
	for _, p := range parts {
		up = up || p == ".."
		if strings.EqualFold(p, ".git") {
			return "The file " + quote(file) + " is Git's own."
		}
	}
	switch {
	case strings.Contains(file, `\`):
		return "The file " + quote(file) + " has a backslash in it: files are written with `/`."
	case strings.HasPrefix(file, "/"), strings.HasPrefix(file, "~"):
		return "The file " + quote(file) + " is outside of the repository: write it from the project's directory."
	case up && c.Dir == "":
		return "The file " + quote(file) + " has `..` in it: that needs `-d DIR` before the `--`."
	}
	inside := path.Join(c.Dir, file)
	return when(inside == ".." || strings.HasPrefix(inside, "../"), "The file "+quote(file)+" is outside of the repository.")
}
