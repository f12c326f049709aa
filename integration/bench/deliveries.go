package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"weir/integration/bench/stage"
)

// pullsUnderLoad is how many pull requests the deliveries are about.
const pullsUnderLoad = 20

// deliveries posts at a steady rate and measures when each delivery is
// acknowledged, counted from when it was due, so that a server that stands
// still is not asked less. Every one is a review of a real pull request that
// asks for changes: it makes a job, so it is recorded on disk before it is
// acknowledged, and the gate looks at it while the next ones come. GitHub is
// 50 ms away, as nobody runs it on the same two cores.
//
// Then weir is killed as by a power cut, started again, and every delivery is
// sent once more: what is not known to have been accepted before was lost.
func (b *bench) deliveries(ctx context.Context) error {
	w, err := b.newWorld()
	if err != nil {
		return err
	}
	m := newMany(min(pullsUnderLoad, b.projects), filepath.Join(w.Dir, "states"))
	repo, err := w.Repo("infra", m.files("first"))
	if err != nil {
		return err
	}
	if err := w.Install(); err != nil {
		return err
	}
	if err := w.Fresh(ctx); err != nil {
		return err
	}
	bodies, err := reviews(ctx, w, repo, m)
	if err != nil {
		return err
	}
	w.Box.Latency(away50)
	ctx2, cancel := context.WithTimeoutCause(ctx, b.load+stage.Patience, errors.New("deliveries are not answered"))
	defer cancel()
	ownBefore, childrenBefore, err := w.CPU()
	if err != nil {
		return err
	}
	syncing := b.syncs(ctx2)
	answers := post(ctx2, w.URL+"/webhook", bodies, int(b.load.Seconds()*float64(b.rate)), b.rate, "load")
	sync, err := syncing()
	if err != nil {
		return err
	}
	own, children, err := w.CPU()
	if err != nil {
		return err
	}
	data, err := w.Kill()
	if err != nil {
		return err
	}
	var took []time.Duration
	refused := 0
	for _, a := range answers {
		took = append(took, a.took)
		if a.status != http.StatusAccepted || strings.TrimSpace(a.text) != "accepted" {
			refused++
			b.say("   %s: %d %s %v", a.id, a.status, a.text, a.err)
		}
	}
	w.Box.Latency(0)
	if _, err := w.Launch(ctx, data); err != nil {
		return err
	}
	lost := 0
	for _, a := range post(ctx2, w.URL+"/webhook", bodies, len(answers), 10*b.rate, "load") {
		if strings.TrimSpace(a.text) != "accepted before" {
			lost++
			b.say("   lost %s: %d %s %v", a.id, a.status, a.text, a.err)
		}
	}
	what := fmt.Sprintf("%d deliveries, %d a second, each recorded: ", len(answers), b.rate)
	r := atMost(what+"acknowledged, p99", 20*time.Millisecond, []time.Duration{percentile(took, 99)})
	r.floor, r.ratio = seconds(percentile(sync, 99))+" (p99 of an fsync)", fmt.Sprintf("%.1f", percentile(took, 99).Seconds()/percentile(sync, 99).Seconds())
	b.add(r)
	b.add(row{
		what: what + "p50, max", verdict: told, measured: seconds(percentile(took, 50)) + ", " + seconds(slices.Max(took)),
		floor: seconds(percentile(sync, 50)) + " (p50 of an fsync)",
	})
	b.add(row{
		what: what + "not acknowledged; lost over kill -9", budget: "0; 0", measured: fmt.Sprintf("%d; %d", refused, lost),
		verdict: within(refused+lost == 0),
	})
	b.say("   meanwhile weir took %s of processor time, its children %s", seconds(own-ownBefore), seconds(children-childrenBefore))
	if err := w.Quiet(ctx); err != nil {
		return err
	}
	return w.Close()
}

// reviews opens a pull request for each project and returns GitHub's own
// deliveries of a review of each.
func reviews(ctx context.Context, w *stage.World, repo string, m many) ([][]byte, error) {
	for _, dir := range m.dirs {
		one := many{dirs: []string{dir}, states: m.states}
		p, err := w.Change(ctx, repo, one.files("second"))
		if err != nil {
			return nil, err
		}
		if _, err := w.Box.Review("bob", repo, p.Pull.Number, "REQUEST_CHANGES", "Not yet."); err != nil {
			return nil, err
		}
	}
	if err := w.Quiet(ctx); err != nil {
		return nil, err
	}
	var bodies [][]byte
	for _, d := range w.Box.Deliveries() {
		if d.Event == "pull_request_review" {
			bodies = append(bodies, d.Body)
		}
	}
	if len(bodies) != len(m.dirs) {
		return nil, fmt.Errorf("%d reviews were delivered instead of %d", len(bodies), len(m.dirs))
	}
	return bodies, nil
}

// answered is what became of one delivery.
type answered struct {
	id     string
	status int
	text   string
	took   time.Duration // since it was due
	err    error
}

// post delivers n times at a rate, however long the answers take.
func post(ctx context.Context, url string, bodies [][]byte, n, rate int, name string) []answered {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	signatures := make([]string, len(bodies))
	for i, body := range bodies {
		mac := hmac.New(sha256.New, []byte(stage.Secret))
		mac.Write(body)
		signatures[i] = "sha256=" + hex.EncodeToString(mac.Sum(nil))
	}
	answers := make([]answered, n)
	began := time.Now()
	var sent sync.WaitGroup
	for i := range n {
		due := began.Add(time.Duration(i) * time.Second / time.Duration(rate))
		if err := wait(ctx, time.Until(due)); err != nil {
			answers[i].err = err
			continue
		}
		sent.Go(func() {
			a := &answers[i]
			a.id = fmt.Sprintf("%s-%06d", name, i)
			a.status, a.text, a.err = deliver(ctx, client, url, a.id, signatures[i%len(bodies)], bodies[i%len(bodies)])
			a.took = time.Since(due)
		})
	}
	sent.Wait()
	return answers
}

func deliver(ctx context.Context, client *http.Client, url, id, signature string, body []byte) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-GitHub-Delivery", id)
	req.Header.Set("X-GitHub-Event", "pull_request_review")
	req.Header.Set("X-Hub-Signature-256", signature)
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), errors.Join(err, resp.Body.Close())
}

// syncs measures what the disk takes meanwhile for the least that can be called
// recorded: every 50 ms a page written and synced. The function that it returns
// ends it.
func (b *bench) syncs(ctx context.Context) func() ([]time.Duration, error) {
	ctx, cancel := context.WithCancel(ctx)
	var took []time.Duration
	ended := make(chan error, 1)
	go func() {
		file, err := os.CreateTemp(b.dir, "sync-")
		page := make([]byte, 4096)
		for err == nil {
			began := time.Now()
			if _, err = file.Write(page); err == nil {
				err = file.Sync()
			}
			took = append(took, time.Since(began))
			if wait(ctx, 50*time.Millisecond) != nil {
				break
			}
		}
		if file != nil {
			err = errors.Join(err, file.Close())
		}
		ended <- err
	}()
	return func() ([]time.Duration, error) {
		cancel()
		err := <-ended
		return took, err
	}
}
