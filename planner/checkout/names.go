package checkout

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"weir/planner/checkout/mirror"
)

var (
	ownerName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,100}$`)
	repoName  = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)
)

// splitRepo takes owner/name apart and refuses everything that is not exactly
// that, since both become names of directories.
func splitRepo(repo string) (owner, name string, err error) {
	owner, name, _ = strings.Cut(repo, "/")
	if !ownerName.MatchString(owner) || !repoName.MatchString(name) || name == "." || name == ".." {
		return "", "", fmt.Errorf("%q is not the owner/name of a repository", repo)
	}
	return owner, name, nil
}

func checkRequest(req Request) error {
	if !mirror.IsID(req.Head) {
		return fmt.Errorf("head %q is not a full commit id", req.Head)
	}
	return checkBranch(req.BaseRef)
}

// checkBranch refuses what git-check-ref-format(1) refuses as the name of a
// branch, and all that could be read as an option or a pattern.
func checkBranch(name string) error {
	bad := name == "" || len(name) > 1000 || name == "@" || strings.HasPrefix(name, "-") || strings.HasSuffix(name, ".") ||
		strings.Contains(name, "..") || strings.Contains(name, "@{") || strings.ContainsAny(name, " ~^:?*[\\\x7f")
	for i := range len(name) {
		bad = bad || name[i] < ' '
	}
	for part := range strings.SplitSeq(name, "/") {
		bad = bad || part == "" || strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock")
	}
	if bad {
		return fmt.Errorf("%q is not the name of a branch", name)
	}
	return nil
}

// escape makes a name that stays itself where the file system does not tell
// capitals from small letters. No name of a repository has a "!" in it.
func escape(name string) string {
	var b strings.Builder
	for _, c := range []byte(name) {
		if 'A' <= c && c <= 'Z' {
			b.WriteByte('!')
			c += 'a' - 'A'
		}
		b.WriteByte(c)
	}
	return b.String()
}

// unescape is the reverse of escape; false for what escape never makes.
func unescape(name string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		c := name[i]
		if c == '!' && i+1 < len(name) {
			i++
			c = name[i] - ('a' - 'A')
		}
		b.WriteByte(c)
	}
	return b.String(), escape(b.String()) == name
}

func pullName(pull int) string { return strconv.Itoa(pull) }

func pullNumber(name string) (int, bool) {
	n, err := strconv.Atoi(name)
	return n, err == nil && n >= 0 && pullName(n) == name
}

// Names of references. Each pull request writes only below its own number, and
// every name ends where a "/" or nothing follows, so 1 is never 12.
func pullRefs(pull int) string            { return "refs/weir/pull/" + pullName(pull) }
func pullBase(pull int) string            { return "refs/weir/base/pull/" + pullName(pull) }
func mergeRef(pull int, id string) string { return pullRefs(pull) + "/merge/" + id }

// branchRefs is where the branches are that Fetch was asked for.
const branchRefs = "refs/weir/base/branch"

// branchRef is a hash, since main and main/x cannot be references at once, but
// can be branches one after the other.
func branchRef(branch string) string { return branchRefs + "/" + hash(branch) }

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// Below Dir:
//
//	mirrors/OWNER/NAME.git       bare repositories
//	submodules/HASH.git          those of submodules, by URL
//	worktrees/OWNER/NAME/PULL/   the files
//	admin/OWNER/NAME/PULL/       git's notes on them, and which merges were made
//	spare/OWNER/NAME/ID/         worktrees of closed pull requests, to be used again
//	home/                        git's home directory
//	tmp/                         half-made and to be deleted
//
// OWNER and NAME are escaped.
func (r *Repos) path(elem ...string) string {
	return filepath.Join(append([]string{r.Dir}, elem...)...)
}

// place is where the files of a pull request are.
type place struct {
	repo  string
	pull  int
	root  string
	admin string
	spare string // directory of the repository's spare ones
}

// placeOf names the places of a pull request. It is the one function by which
// a repository and a number become a path.
func (r *Repos) placeOf(repo string, pull int) (place, error) {
	owner, name, err := splitRepo(repo)
	if err != nil {
		return place{}, err
	}
	if pull < 0 {
		return place{}, fmt.Errorf("%d is not the number of a pull request", pull)
	}
	owner, name = escape(owner), escape(name)
	return place{
		repo: repo, pull: pull,
		root:  r.path("worktrees", owner, name, pullName(pull)),
		admin: r.path("admin", owner, name, pullName(pull)),
		spare: r.path("spare", owner, name),
	}, nil
}

func (w place) index() string { return filepath.Join(w.admin, "index") }
