package terraform

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"unicode/utf8"

	"weir/planner/terraform/child"
)

// maxMessage is how much of terraform's diagnostics a failure holds.
const maxMessage = 10 << 10

var (
	escapes    = regexp.MustCompile("\x1b\\[[0-9;?]*[a-zA-Z]")
	box        = regexp.MustCompile(`(?m)^([ \t]*)[╷╵│][ \t]?|[ \t]+$`)
	blankLines = regexp.MustCompile(`\n{3,}`)
	// What terraform prints while it works, and what it says of weir's own flags.
	progress   = regexp.MustCompile(`(?m)^.*: (Refreshing state\.\.\.|Reading\.\.\.|Still reading\.\.\.|Read complete after|Preparing import\.\.\.|Refreshing\.\.\.|Still refreshing\.\.\.|Refresh complete after|Opening\.\.\.|Opening complete after|Closing\.\.\.|Closing complete after).*\n|^(Acquiring|Releasing) state lock\..*\n`)
	deprecated = regexp.MustCompile(`\n?Warning: Deprecated flag: -state\n\n[^\n]*\n(https?://[^\n]*\n)?`)
	cliConfig  = regexp.MustCompile(`(?s)There are some problems with the CLI configuration:.*?(\nError:|\z)`)
	noSuch     = regexp.MustCompile(`(?i)workspace "?[^"]*"? (doesn't|does not) exist`)
)

// failure puts into words how a command ended.
func (p *project) failure(stage string, o child.Outcome) *Failure {
	message := p.clean(o.Stderr)
	if without := strings.TrimSpace(cliConfig.ReplaceAllString(message, "$1")); without != "" {
		message = without
	}
	switch {
	case o.Signal != "":
		message = strings.TrimSpace(fmt.Sprintf("%s was ended by a signal (%s); the machine may be out of memory.\n\n%s", p.binary.name, o.Signal, message))
	case message == "":
		message = fmt.Sprintf("%s %s failed with exit code %d and said nothing.", p.binary.name, stage, o.Code)
	}
	if strings.Contains(o.Stderr, "no space left on device") || strings.Contains(o.Stderr, "disk quota exceeded") {
		message = "A disk is full, most likely that of weir's server.\n\n" + message
	}
	if strings.Contains(o.Stderr, "permission denied") && child.Confines() {
		message += "\n\nTerraform can neither reach weir's own files, nor make anything in the directories that hold them."
	}
	return &Failure{Stage: stage, Message: bound(message, maxMessage)}
}

// trouble puts into words what is wrong with the server, where that is
// something that a person has to mend. It is nil for all other errors.
func (r *Runner) trouble(stage string, err error) *Failure {
	unusable, start := (*unusableError)(nil), (*child.StartError)(nil)
	message := ""
	switch {
	case err == nil:
		return nil
	case errors.As(err, &unusable):
		message = unusable.Error()
	case errors.As(err, &start):
		message = (&unusableError{filepath.Base(r.Binary), "it does not start: " + start.Reason()}).Error()
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		message = "The disk of weir's server is full, so terraform could not be run. Nothing was changed. Once there is room again, `weir plan` starts anew."
	case errors.Is(err, syscall.EROFS):
		message = "The disk of weir's server cannot be written to, so terraform could not be run. Nothing was changed. Once that is mended, `weir plan` starts anew."
	default:
		return nil
	}
	r.limit().Log.Error("terraform cannot be run", slog.Any("error", err))
	return &Failure{Stage: stage, Message: message}
}

// clean makes terraform's output fit for people elsewhere: without colours,
// boxes, secrets and paths of this machine.
func (p *project) clean(text string) string {
	text = escapes.ReplaceAllString(text, "")
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\r\n", "\n")
	text = box.ReplaceAllString(text, "$1")
	text = p.secrets.Replace(text)
	pairs := []string{p.target.DataDir, ".terraform"}
	for _, root := range []string{p.target.Root, p.source.Root} {
		if dir := filepath.Join(root, filepath.FromSlash(p.target.Dir)); dir != root {
			pairs = append(pairs, dir+"/", "")
		}
		pairs = append(pairs, root+"/", "", root, ".")
	}
	text = strings.NewReplacer(pairs...).Replace(text)
	return strings.TrimSpace(blankLines.ReplaceAllString(text, "\n\n"))
}

// dropNoise leaves out what says nothing about the plan.
func dropNoise(text string) string {
	return deprecated.ReplaceAllString(text, "")
}

// planText is the rendering of the plan alone.
func planText(text string) string {
	return progress.ReplaceAllString(dropNoise(text), "")
}

// bound cuts the middle out of a text that is too long, at ends of lines.
func bound(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	head, tail := text[:limit/2], text[len(text)-limit/2:]
	if i := strings.LastIndexByte(head, '\n'); i > 0 {
		head = head[:i]
	}
	if i := strings.IndexByte(tail, '\n'); i >= 0 && i < len(tail)-1 {
		tail = tail[i+1:]
	}
	for !utf8.ValidString(head) {
		head = head[:len(head)-1]
	}
	for !utf8.ValidString(tail) {
		tail = tail[1:]
	}
	return fmt.Sprintf("%s\n[… %d bytes left out …]\n%s", head, len(text)-len(head)-len(tail), tail)
}

func lacksWorkspace(stderr string) bool { return noSuch.MatchString(unwrap(stderr)) }

// saysStale says whether terraform refused a plan because the state is no
// longer the one it was made for. It does so before it changes anything.
func saysStale(stderr string) bool {
	text := unwrap(stderr)
	return strings.Contains(text, "Saved plan is stale") || strings.Contains(text, "Saved plan does not match the given state")
}
