package cloudtrail

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weir/drift/finding"
)

func TestPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var p pace
		here, there := place{"1", "eu-west-1"}, place{"1", "us-east-1"}
		begin := time.Now()
		for range 5 {
			if err := p.wait(t.Context(), here); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(begin); took != 4*interval {
			t.Errorf("5 requests took %v, want %v", took, 4*interval)
		}
		begin = time.Now()
		if err := p.wait(t.Context(), there); err != nil || time.Since(begin) != 0 {
			t.Errorf("another region waited %v: %v", time.Since(begin), err)
		}

		// The queue has an end, and who leaves it early makes room.
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		var busy, left int
		var mu sync.Mutex
		for range maxQueue + 10 {
			all.Go(func() {
				err := p.wait(ctx, here)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case errors.Is(err, errBusy):
					busy++
				case err != nil:
					left++
				}
			})
		}
		synctest.Wait()
		if busy < 9 || busy > 11 {
			t.Errorf("%d of %d were turned away, want about 10", busy, maxQueue+10)
		}
		cancel()
		all.Wait()
		if left != maxQueue+10-busy {
			t.Errorf("%d left the queue, %d were turned away", left, busy)
		}

		// One that leaves while it is the last gives its turn back.
		time.Sleep(time.Hour) //nolint:forbidigo // a bubble's time
		if err := p.wait(t.Context(), here); err != nil {
			t.Fatal(err)
		}
		begin = time.Now()
		short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := p.wait(short, here); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("wait: %v", err)
		}
		if err := p.wait(t.Context(), here); err != nil || time.Since(begin) != interval {
			t.Errorf("the turn after one that was given back came after %v, want %v", time.Since(begin), interval)
		}
	})
}

// Many checks at once ask one region no more than twice a second, and all get
// their answers.
func TestRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		tr := inside(f, Options{})
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				f := finding.Finding{Address: "aws_sfn_state_machine.m", Type: "aws_sfn_state_machine", Attribute: "definition", Kind: finding.Changed}
				got := tr.Who(t.Context(), about(f, Resource{Type: f.Type, Names: []string{fmt.Sprintf("m%d", i)}}))
				if why := got.Unknown[f.Key()]; !strings.Contains(why, "has no event since") {
					t.Errorf("%q", why)
				}
			})
		}
		all.Wait()
		asked := f.requests()
		if len(asked) != 20 {
			t.Errorf("%d requests, want 20", len(asked))
		}
		for i := 2; i < len(asked); i++ {
			if apart := asked[i].at.Sub(asked[i-2].at); apart <= time.Second {
				t.Errorf("three requests in %v", apart)
			}
		}
	})
}

func throttle(int, request) (int, any) {
	return http.StatusBadRequest, map[string]any{"__type": "ThrottlingException", "message": "Rate exceeded"}
}

func TestThrottled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fake{fail: func(n int, r request) (int, any) {
			if n < attempts {
				return throttle(n, r)
			}
			return 0, nil
		}}
		f.events = []wire{recorded(t, "console", ago(time.Hour), nil)}
		if got := inside(f, Options{}).Who(t.Context(), about(ingress(), group())); len(got.By) != 1 {
			t.Errorf("answers %+v, want one", got)
		}
		asked := f.requests()
		if apart := asked[1].at.Sub(asked[0].at); len(asked) != attempts || apart < setback {
			t.Errorf("%d requests, the second %v after the first", len(asked), apart)
		}

		f = &fake{fail: throttle}
		tr := inside(f, Options{})
		got := tr.Who(t.Context(), about(ingress(), group()))
		want := "CloudTrail in eu-west-1 of account 111122223333 is asked too often at the moment; the next check asks again."
		if why := got.Unknown[ingress().Key()]; why != want || len(f.requests()) != attempts || got.Trouble != nil {
			t.Errorf("%d requests, %+v", len(f.requests()), got)
		}
		// It is left alone for a while, by the other findings, too.
		if tr.Who(t.Context(), about(ingress(), group())); len(f.requests()) != attempts {
			t.Errorf("asked %d times, want %d", len(f.requests()), attempts)
		}
		time.Sleep(rest) //nolint:forbidigo // a bubble's time
		if tr.Who(t.Context(), about(ingress(), group())); len(f.requests()) != 2*attempts {
			t.Errorf("then %d times, want %d", len(f.requests()), 2*attempts)
		}
	})
}

// A CloudTrail that never answers holds a check up for as long as it has
// patience, whatever it has found.
func TestSilence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		silent := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		q := Question{Resources: map[string]Resource{}, Since: ago(time.Hour)}
		for i := range 50 {
			f := ingress()
			f.Address = fmt.Sprintf("aws_security_group.g%d", i)
			q.Findings = append(q.Findings, f)
			q.Resources[f.Address] = Identify(f.Type, map[string]any{"id": fmt.Sprintf("sg-%d", i)})
		}
		begin := time.Now()
		got := inside(silent, Options{}).Who(t.Context(), q)
		if took := time.Since(begin); took > patience || took > (1+attempts)*attemptTime+attempts*interval {
			t.Errorf("took %v: who does not answer is not asked again at once", took)
		}
		if len(got.Unknown) != 50 || !strings.Contains(got.Unknown[q.Findings[49].Key()], "did not answer in time") {
			t.Errorf("answers %+v", got)
		}
	})
}

func TestCache(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fake{events: []wire{recorded(t, "console", ago(time.Hour), nil)}}
		tr := inside(f, Options{})
		q := about(ingress(), group())
		egress := ingress()
		egress.Attribute = "egress"
		q.Findings = append(q.Findings, egress)
		tr.Who(t.Context(), q)
		if n := len(f.requests()); n != 1 {
			t.Errorf("two findings of one resource: %d requests, want 1", n)
		}
		// What is before the time asked about does not count, though it was read.
		later := q
		later.Since = time.Now().Add(-time.Minute)
		if got := tr.Who(t.Context(), later); len(got.By) != 0 || len(f.requests()) != 1 {
			t.Errorf("%d requests, %+v", len(f.requests()), got)
		}
		earlier := q
		earlier.Since = q.Since.Add(-time.Hour)
		tr.Who(t.Context(), earlier)
		if n := len(f.requests()); n != 2 {
			t.Errorf("a longer time: %d requests, want 2", n)
		}
		time.Sleep(fresh) //nolint:forbidigo // a bubble's time
		tr.Who(t.Context(), q)
		if n := len(f.requests()); n != 3 {
			t.Errorf("after %v: %d requests, want 3", fresh, n)
		}

		var c cache
		for i := range 3 * maxCached {
			c.put(lookup{name: fmt.Sprint(i)}, window{}, found{})
		}
		if len(c.kept) > maxCached {
			t.Errorf("%d answers are kept", len(c.kept))
		}
	})
}

// Denied is denied for a while.
func TestDeniedForAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fake{fail: func(int, request) (int, any) {
			return http.StatusBadRequest, map[string]any{"__type": "com.amazonaws.cloudtrail#AccessDeniedException", "message": "no"}
		}}
		tr := inside(f, Options{})
		q := about(ingress(), group())
		for range 3 {
			if got := tr.Who(t.Context(), q); len(got.Trouble) != 1 || !strings.Contains(got.Trouble[0], "cloudtrail:LookupEvents") {
				t.Errorf("trouble %q", got.Trouble)
			}
		}
		if n := len(f.requests()); n != 1 {
			t.Errorf("%d requests, want 1", n)
		}
		f.fail = nil
		time.Sleep(grudge) //nolint:forbidigo // a bubble's time
		if got := tr.Who(t.Context(), q); got.Trouble != nil || len(f.requests()) != 2 {
			t.Errorf("%d requests, %+v", len(f.requests()), got)
		}
	})
}

// What could not be read may have been it: then nothing is certain.
func TestNotAllWasRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		change := recorded(t, "console", ago(time.Minute), nil)
		f := &fake{events: []wire{change}}
		for i := range maxPages * pageSize {
			read := recorded(t, "console", ago(time.Hour), map[string]any{"eventName": "DescribeSecurityGroups", "readOnly": true})
			read.EventId = fmt.Sprint(i)
			f.events = append(f.events, read)
		}
		got := inside(f, Options{}).Who(t.Context(), about(ingress(), group()))
		if by := got.By[ingress().Key()]; by.Sure != "likely" || len(f.requests()) != maxPages {
			t.Errorf("%d requests, %+v", len(f.requests()), got)
		}

		f = &fake{events: []wire{change}}
		q := about(ingress(), group())
		q.Since = time.Now().Add(-100 * 24 * time.Hour)
		got = inside(f, Options{}).Who(t.Context(), q)
		if by := got.By[ingress().Key()]; by.Sure != "likely" {
			t.Errorf("applied before the history begins: %+v", got)
		}
		if start := time.UnixMilli(int64(f.requests()[0].StartTime * 1000)); time.Since(start) > history {
			t.Errorf("asked since %v", start)
		}
	})
}
