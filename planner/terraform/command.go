package terraform

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"weir/planner/terraform/child"
)

// How long terraform waits for somebody else's lock on the state before it
// gives up. A plan is soon made again; an apply was approved by people.
const (
	planLockTimeout  = "-lock-timeout=60s"
	applyLockTimeout = "-lock-timeout=300s"
)

func (p *project) command(workspace bool, verb string, args ...string) child.Command {
	return child.Command{
		Verb:  verb,
		Path:  p.binary.path,
		Args:  append(strings.Fields(verb), args...),
		Dir:   p.dir,
		Env:   p.environment(workspace),
		Reach: p.reach(),
		Later: p.target.Look,
	}
}

// reach is what the pull request's code may use of weir's files while it
// plans or applies: its own checkout, state and temporary directory. What is
// used by later runs, too, the data directory and the provider cache, it may
// not change. Where nothing is private, all files are in its reach.
func (p *project) reach() child.Reach {
	if len(p.runner.Private) == 0 {
		return child.Reach{}
	}
	reach := child.Reach{
		Hidden: append([]string{p.target.DataDir}, p.runner.Private...),
		Given:  []string{p.target.Root, p.temp},
		Read:   []string{p.target.DataDir, p.binary.path},
	}
	if p.runner.CacheDir != "" {
		reach.Hidden, reach.Read = append(reach.Hidden, p.runner.CacheDir), append(reach.Read, p.runner.CacheDir)
	}
	if p.runner.TempDir != "" {
		reach.Hidden = append(reach.Hidden, p.runner.TempDir)
	}
	if p.state != "" {
		reach.Given = append(reach.Given, filepath.Dir(p.state))
	}
	for _, dir := range p.source.States {
		// It may be beside what is hidden, where terraform could not make it.
		if reach.Free(dir) && os.MkdirAll(dir, 0o750) == nil {
			reach.Given = append(reach.Given, dir)
		}
	}
	return reach
}

// prepares lets a command that runs no code of the pull request's change the
// data directory and the provider cache.
func (p *project) prepares(c child.Command) child.Command {
	c.Reach.Given = append(c.Reach.Given, p.target.DataDir)
	if p.runner.CacheDir != "" {
		c.Reach.Given = append(c.Reach.Given, p.runner.CacheDir)
	}
	return c
}

// initCommand initialises the directory. It is told no workspace except by
// backends that know no default one: the others would refuse a workspace that
// does not exist yet, while plan makes it.
func (p *project) initCommand(readonly bool) child.Command {
	args := []string{"-input=false", "-no-color"}
	if readonly {
		args = append(args, "-lockfile=readonly")
	}
	return p.prepares(p.command(p.source.Backend == "cloud" || p.source.Backend == "remote", "init", args...))
}

// planCommand asks for the exit code that tells an empty plan apart, so that
// nothing has to be read to know it.
func (p *project) planCommand(out string) child.Command {
	lock := planLockTimeout
	if p.target.Look {
		lock = "-lock=false"
	}
	args := []string{"-input=false", "-no-color", "-detailed-exitcode", lock, "-out=" + out}
	if p.state != "" {
		args = append(args, "-state="+p.state)
	}
	for _, file := range p.target.VarFiles {
		args = append(args, "-var-file="+filepath.FromSlash(file))
	}
	c := p.command(true, "plan", append(args, p.target.Extra...)...)
	c.Reach.Given = append(c.Reach.Given, out)
	return c
}

func (p *project) showCommand(planFile string) child.Command {
	c := p.command(true, "show", "-json", "-no-color", planFile)
	c.Reach.Read = append(c.Reach.Read, planFile)
	return c
}

func (p *project) applyCommand(planFile string) child.Command {
	args := []string{"-input=false", "-no-color", applyLockTimeout}
	if p.state != "" {
		args = append(args, "-state="+p.state)
	}
	c := p.command(true, "apply", append(args, planFile)...)
	c.Reach.Read = append(c.Reach.Read, planFile)
	return c
}

func (p *project) newWorkspaceCommand() child.Command {
	return p.prepares(p.command(false, "workspace new", "-no-color", p.target.Workspace))
}

// extraFlags are what a person may add to a plan. Everything that names
// another file to write, another state, or weakens locking is missing; so is
// -refresh-only, whose plans change the state without saying so in their data.
var extraFlags = map[string]bool{
	"target": true, "exclude": true, "replace": true, "var": true, varFileFlag: true, "parallelism": true, // take a value
	"destroy": false, "refresh": false, // take none, or =true and =false
}

// varFileFlag names a file, which checkVarFile has to let through.
const varFileFlag = "var-file"

// varFiles are the files of variables among the arguments that a person added,
// relative to the project's directory.
func varFiles(extra []string) (files []string) {
	for _, arg := range extra {
		name, value, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-"), "=")
		if name == varFileFlag {
			files = append(files, value)
		}
	}
	return files
}

// checkExtra says what is wrong with the arguments that a person added, or "".
func checkExtra(extra []string) string {
	for _, arg := range extra {
		name, value, hasValue := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-"), "=")
		takes, known := extraFlags[name]
		switch {
		case !strings.HasPrefix(arg, "-"):
			return fmt.Sprintf("%q is not an option of plan; write options as -target=ADDRESS", arg)
		case !known:
			return fmt.Sprintf("the option %q cannot be given here; these can: -target=, -exclude=, -replace=, -var=, -var-file=, -parallelism=, -destroy, -refresh=", "-"+name)
		case takes && !hasValue:
			return fmt.Sprintf("the option -%s needs a value: -%s=…", name, name)
		case !takes && hasValue && value != "true" && value != "false":
			return fmt.Sprintf("the option -%s takes true or false, not %q", name, value)
		}
	}
	return ""
}

// environment is a child's whole environment, sorted. workspace says whether
// it is told its workspace.
func (p *project) environment(workspace bool) []string {
	env := maps.Clone(p.inherited)
	set := func(name, value string) { env[name] = value }
	set("TF_DATA_DIR", p.target.DataDir)
	set("TMPDIR", p.temp)
	// A checkout has no .git of its own; git must not find one above it.
	set("GIT_CEILING_DIRECTORIES", filepath.Dir(p.target.Root))
	if workspace && (p.target.Workspace != "default" || p.source.Backend != "cloud" && p.source.Backend != "remote") {
		set("TF_WORKSPACE", p.target.Workspace)
	}
	if p.runner.CacheDir != "" {
		set("TF_PLUGIN_CACHE_DIR", p.runner.CacheDir)
		if p.lockBefore == nil {
			// Without a committed lock file there is none to break, and
			// terraform would download what the cache has all the same.
			set("TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE", "1")
		}
	}
	if _, set := env["GOGC"]; !set && p.source.OnlyBuiltin() {
		// A third of the CPU time of a terraform that starts no provider is
		// garbage collection of a tiny heap. Providers keep the default, for
		// their heaps are large.
		env["GOGC"] = "400"
	}
	return p.runner.environment(env)
}

// inherited is what children get of the server's environment. They run in a
// directory of the pull request's, so nothing in it may be relative: not the
// PATH, where a program of the pull request's would be found, nor the
// configuration file, which would be one of the pull request's.
func (r *Runner) inherited() map[string]string {
	env := child.Inherit(r.environ(), r.Env)
	if path, ok := env["PATH"]; ok {
		env["PATH"] = strings.Join(slices.DeleteFunc(filepath.SplitList(path), func(dir string) bool { return !filepath.IsAbs(dir) }), string(filepath.ListSeparator))
	}
	const configFile = "TF_CLI_CONFIG_FILE"
	if name := env[configFile]; name != "" {
		path, err := filepath.Abs(name)
		if err == nil {
			_, err = os.Stat(path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			// OpenTofu would tell so with each command, in the middle of its data.
			r.missingConfig.Do(func() {
				r.limit().Log.Warn("terraform's own configuration file, which TF_CLI_CONFIG_FILE names, does not exist", slog.String("file", name))
			})
			delete(env, configFile)
		} else {
			env[configFile] = path
		}
	}
	return env
}

// environment adds to env what every child gets, and sorts it.
func (r *Runner) environment(env map[string]string) []string {
	env = maps.Clone(env)
	env["TF_IN_AUTOMATION"] = "1"
	env["TF_INPUT"] = "0"
	env["CHECKPOINT_DISABLE"] = "1"
	env["GIT_TERMINAL_PROMPT"] = "0"
	if env["TMPDIR"] == "" {
		env["TMPDIR"] = r.tempDir() // where no project is worked on
	}
	if env["GIT_SSH_COMMAND"] == "" {
		env["GIT_SSH_COMMAND"] = "ssh -oBatchMode=yes"
	}
	entries := make([]string, 0, len(env))
	for name, value := range env {
		entries = append(entries, name+"="+value)
	}
	slices.Sort(entries)
	return entries
}
