package work_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/integration/services"
	"weir/planner/work"
	"weir/store"
	"weir/store/dynamo"
)

// inProcess, when set, makes this test binary a replica on the store that it
// names; see TestI4_APausedReplicaCanWriteNothing.
const inProcess = "WORK_TEST_REPLICA"

const (
	shortLease = 1500 * time.Millisecond
	shortPoll  = 100 * time.Millisecond
)

func TestMain(m *testing.M) {
	if url := os.Getenv(inProcess); url != "" {
		if err := replica(url); err != nil {
			_, _ = io.WriteString(os.Stderr, err.Error()+"\n")
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// found is what a replica says of its job once that has ended.
type found struct {
	Attempt  int
	Lost     bool // the job's context ended with ErrLost
	Early    bool // a commit with a fence worked while it had the job
	OldFence bool // one with the same fence worked after it
	NewFence bool // a new fence was to be had
}

// replica does one job, which lasts until its context ends, and prints what it
// found then.
func replica(url string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s, err := dynamo.Open(ctx, url)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	q := &work.Queue{Store: s, Worker: "paused", Lease: shortLease, Poll: shortPoll}
	out := json.NewEncoder(os.Stdout)
	return q.Run(ctx, 1, func(job context.Context, j work.Job) error {
		defer cancel()
		fence, err := q.Fence(ctx, j)
		if err != nil {
			return err
		}
		write := func(n string) bool {
			return s.Commit(ctx, fence, store.Write{Key: store.Key{Partition: "test", Sort: n}}) == nil
		}
		r := found{Attempt: j.Attempt, Early: write("early")}
		if err := out.Encode(r); err != nil { // it may be paused now
			return err
		}
		<-job.Done()
		r.Lost, r.OldFence = errors.Is(context.Cause(job), work.ErrLost), write("late")
		_, err = q.Fence(ctx, j)
		r.NewFence = !errors.Is(err, work.ErrLost)
		if err := out.Encode(r); err != nil {
			return err
		}
		return nil // as if all had gone well
	})
}

// A process that is paused for longer than its lease and goes on finds its job
// taken: nothing that it writes for it counts any more, nor how it says that
// the job ended.
func TestI4_APausedReplicaCanWriteNothing(t *testing.T) {
	url := "dynamodb://work-" + strings.ToLower(rand.Text()) + "?region=eu-west-1&endpoint=" + services.Dynamo(t)
	if err := dynamo.Init(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	s, err := dynamo.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	q := &work.Queue{Store: s, Worker: "other", Lease: shortLease, Poll: shortPoll}
	if _, err := q.Accept(t.Context(), "d", work.Job{Kind: work.Apply, Repo: "acme/app", Pull: 1}); err != nil {
		t.Fatal(err)
	}

	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), self)
	child.Env = append(os.Environ(), inProcess+"="+url)
	child.Stderr = os.Stderr
	pipe, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(pipe)
	says := func() (f found) {
		t.Helper()
		if !lines.Scan() {
			t.Fatal("the replica says nothing more")
		}
		if err := json.Unmarshal(lines.Bytes(), &f); err != nil {
			t.Fatalf("%s: %v", lines.Bytes(), err)
		}
		return f
	}
	if f := says(); f.Attempt != 1 || !f.Early {
		t.Fatalf("the job begins with %+v", f)
	}
	if err := child.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}

	ctx, stop := context.WithCancel(t.Context())
	began := time.Now()
	taken, resumed := make(chan work.Job, 1), make(chan struct{})
	ran := make(chan error, 1)
	go func() {
		ran <- q.Run(ctx, 1, func(ctx context.Context, j work.Job) error {
			taken <- j
			<-resumed
			fence, err := q.Fence(ctx, j)
			if err != nil {
				return err
			}
			return s.Commit(ctx, fence, store.Write{Key: store.Key{Partition: "test", Sort: "taken"}})
		})
	}()
	j := <-taken
	t.Logf("taken over %v after the pause", time.Since(began))
	if j.Attempt != 2 || j.Crashes != 1 {
		t.Errorf("taken over as attempt %d, after %d deaths", j.Attempt, j.Crashes)
	}
	if err := child.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if f := says(); !f.Lost || f.OldFence || f.NewFence {
		t.Errorf("after its pause the replica found %+v", f)
	}
	if err := child.Wait(); err != nil {
		t.Errorf("the replica: %v", err)
	}
	if jobs, err := q.Jobs(t.Context(), "acme/app", 1); err != nil || len(jobs) != 1 || jobs[0].State != work.Running || jobs[0].Attempt != 2 {
		t.Errorf("after the paused replica ended its job: %+v, %v", jobs, err)
	}
	close(resumed)
	for {
		if n, err := q.Pending(t.Context()); err != nil {
			t.Fatal(err)
		} else if n == 0 {
			break
		}
	}
	stop()
	if err := <-ran; err != nil {
		t.Error(err)
	}
	jobs, err := q.Jobs(t.Context(), "acme/app", 1)
	if err != nil || len(jobs) != 1 || jobs[0].State != work.Done || jobs[0].Attempt != 2 {
		t.Errorf("jobs: %+v, %v", jobs, err)
	}
	records, err := store.All(t.Context(), s, "test", "")
	if err != nil || len(records) != 2 || records[0].Key.Sort != "early" || records[1].Key.Sort != "taken" {
		t.Errorf("written: %v, %v", records, err)
	}
}
