package demo

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"weir/integration/sandbox"
)

// patience is how long a step may take before it counts as one that did not
// happen.
const patience = 90 * time.Second

// story plays steps and prints what comes of them.
type story struct {
	box  *sandbox.Sandbox
	weir string
	out  io.Writer
	once bool
	// token: weir sets statuses, which know no action_required
	token bool
	told  map[int64]bool // comments printed so far
	err   error          // of printing

	first, second sandbox.Pull
}

// step is one thing that somebody does, and what must come of it.
type step struct {
	title string
	do    func(*story) error
	check func(context.Context, *story) error
}

var steps = []step{
	{
		"alice opens a pull request: one more server in production, and a newer database",
		func(s *story) (err error) {
			s.first, err = s.open("alice", "grow-shop", "Grow the shop", map[string][2]string{
				"envs/prod/main.tf": {"servers = 3\n  engine  = \"postgres-15\"", "servers = 4\n  engine  = \"postgres-16\""},
			})
			return err
		},
		func(ctx context.Context, s *story) error {
			if err := s.comment(ctx, s.first, "plan", "destroy", "envs/prod", "postgres-16"); err != nil {
				return err
			}
			if err := s.check(ctx, s.first, "weir/plan", "success"); err != nil {
				return err
			}
			if err := s.check(ctx, s.first, "weir/apply", "action_required"); err != nil {
				return err
			}
			return s.lock(ctx, s.first.Number)
		},
	},
	{
		"carol opens another one on the same directory: it waits its turn",
		func(s *story) (err error) {
			s.second, err = s.open("carol", "rename-output", "Name the output after what it is", map[string][2]string{
				"envs/prod/main.tf": {`output "servers"`, `output "shop_servers"`},
			})
			return err
		},
		func(ctx context.Context, s *story) error {
			if err := s.comment(ctx, s.second, "locked", fmt.Sprintf("#%d", s.first.Number)); err != nil {
				return err
			}
			return s.lock(ctx, s.first.Number, s.second.Number)
		},
	},
	{
		"mallory, who has no write access, approves the first: nothing happens",
		func(s *story) error { return s.review("mallory", s.first) },
		func(ctx context.Context, s *story) error {
			if err := s.comment(ctx, s.first, "plan", "mallory has no write access"); err != nil {
				return err
			}
			return s.check(ctx, s.first, "weir/apply", "action_required")
		},
	},
	{
		"bob approves the first: exactly the plan that he saw is applied",
		func(s *story) error { return s.review("bob", s.first) },
		func(ctx context.Context, s *story) error {
			if err := s.comment(ctx, s.first, "apply", "envs/prod"); err != nil {
				return err
			}
			return s.check(ctx, s.first, "weir/apply", "success")
		},
	},
	{
		"alice merges: the lock passes to the second, which is planned by itself",
		func(s *story) error {
			_, err := s.box.Merge("alice", repo, s.first.Number, "")
			return err
		},
		func(ctx context.Context, s *story) error {
			if err := s.comment(ctx, s.second, "plan", "shop_servers"); err != nil {
				return err
			}
			return s.lock(ctx, s.second.Number)
		},
	},
}

// ending is played only with Once: a visitor wants something left to do.
var ending = []step{
	{
		"bob approves the second, and it is applied",
		func(s *story) error { return s.review("bob", s.second) },
		func(ctx context.Context, s *story) error {
			if err := s.comment(ctx, s.second, "apply", "envs/prod"); err != nil {
				return err
			}
			return s.check(ctx, s.second, "weir/apply", "success")
		},
	},
	{
		"carol merges: no lock is left",
		func(s *story) error {
			_, err := s.box.Merge("carol", repo, s.second.Number, "")
			return err
		},
		func(ctx context.Context, s *story) error { return s.lock(ctx, 0) },
	},
}

func (s *story) play(ctx context.Context) error {
	s.say("GitHub's stand-in is at %s, weir at %s\n", s.box.URL(), s.weir)
	all := steps
	if s.once {
		all = slices.Concat(steps, ending)
	}
	for i, step := range all {
		s.say("\n%d. %s\n", i+1, step.title)
		if err := step.do(s); err != nil {
			return fmt.Errorf("step %d, %s: %w", i+1, step.title, err)
		}
		limit, cancel := context.WithTimeout(ctx, patience)
		err := step.check(limit, s)
		cancel()
		if err != nil {
			return fmt.Errorf("step %d, %s: %w", i+1, step.title, err)
		}
	}
	return s.err
}

// say prints; the first error of printing is kept for the end.
func (s *story) say(format string, args ...any) {
	_, err := fmt.Fprintf(s.out, format, args...)
	s.err = cmp.Or(s.err, err)
}

// open pushes edits to a new branch and opens a pull request of it.
func (s *story) open(as, branch, title string, edits map[string][2]string) (sandbox.Pull, error) {
	files := map[string]string{}
	for name, edit := range edits {
		old, ok, err := s.box.File(repo, "main", name)
		if err != nil || !ok {
			return sandbox.Pull{}, fmt.Errorf("read %s: %w", name, cmp.Or(err, os.ErrNotExist))
		}
		if files[name] = strings.Replace(old, edit[0], edit[1], 1); files[name] == old {
			return sandbox.Pull{}, fmt.Errorf("%s does not hold %q", name, edit[0])
		}
	}
	if _, err := s.box.Push(sandbox.Change{Repo: repo, Branch: branch, As: as, Message: title, Files: files}); err != nil {
		return sandbox.Pull{}, err
	}
	pull, err := s.box.OpenPull(as, sandbox.NewPull{Repo: repo, Head: branch, Title: title})
	if err == nil {
		s.say("   %s/%s/pull/%d\n", s.box.URL(), repo, pull.Number)
	}
	return pull, err
}

func (s *story) review(as string, pull sandbox.Pull) error {
	_, err := s.box.Review(as, repo, pull.Number, "APPROVE", "")
	return err
}

// comment waits for a comment of weir's of that kind which holds all of what,
// and prints it.
func (s *story) comment(ctx context.Context, pull sandbox.Pull, kind string, what ...string) error {
	c, err := s.box.WaitComment(ctx, repo, pull.Number, kind+" comment with "+strings.Join(what, ", "), func(c sandbox.Comment) bool {
		if !strings.HasPrefix(c.Body, "<!-- weir kind="+kind+" ") {
			return false
		}
		return !slices.ContainsFunc(what, func(part string) bool { return !strings.Contains(c.Body, part) })
	})
	if err != nil {
		return err
	}
	body := c.Body
	if !s.once {
		body = outline(body)
	}
	s.say("   weir commented on #%d:\n\n%s\n", pull.Number, indent(body))
	return nil
}

// check waits for a check of the pull request's head.
func (s *story) check(ctx context.Context, pull sandbox.Pull, name, conclusion string) error {
	if s.token && conclusion == "action_required" {
		conclusion = "" // pending
	}
	run, err := s.box.WaitCheck(ctx, repo, pull.HeadSHA, name, conclusion)
	if err == nil {
		s.say("   check %s: %s (%s)\n", name, conclusion, run.Title)
	}
	return err
}

// lock waits until weir's API says who owns production and who waits.
func (s *story) lock(ctx context.Context, owner int, waiters ...int) error {
	var last string
	want := fmt.Sprintf("owner #%d, waiting %v", owner, waiters)
	for {
		got, err := s.askLock(ctx)
		if err != nil {
			return fmt.Errorf("%w (wanted %s, last seen %s)", err, want, last)
		}
		if last = fmt.Sprintf("owner #%d, waiting %v", got.Pull, got.Waiters); last == want {
			s.say("   lock of envs/prod: %s\n", want)
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the lock of envs/prod: wanted %s, got %s", want, last)
		case <-time.After(50 * time.Millisecond): // weir's API offers nothing to wait on
		}
	}
}

type lockRow struct {
	Dir     string `json:"dir"`
	Pull    int    `json:"pull"`
	Waiters []int  `json:"waiters"`
}

func (s *story) askLock(ctx context.Context) (lockRow, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.weir+"/api/v1/locks", nil)
	if err != nil {
		return lockRow{}, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return lockRow{}, err
	}
	defer resp.Body.Close()
	var body struct {
		Locks []lockRow `json:"locks"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		return lockRow{}, fmt.Errorf("ask for locks: %w", err)
	}
	for _, row := range body.Locks {
		if row.Dir == "envs/prod" {
			return row, nil
		}
	}
	return lockRow{}, nil
}

// outline is the part of a comment before its folded details.
func outline(body string) string {
	_, body, _ = strings.Cut(body, "\n")
	body, _, _ = strings.Cut(body, "<details>")
	return strings.TrimSpace(body) + "\n"
}

func indent(text string) string {
	return "   | " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n   | ") + "\n"
}
