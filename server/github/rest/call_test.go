package rest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func containsFold(s, part string) bool { return strings.Contains(strings.ToLower(s), part) }

// answers returns a handler that gives one answer after another, and then 200.
// It counts the requests and checks that each has its whole body.
func answers(t *testing.T, n *int, all ...http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		*n++
		if b, err := io.ReadAll(r.Body); r.Method == http.MethodPost && strings.TrimSpace(string(b)) != `{"a":"b"}` {
			t.Errorf("request %d has the body %q, %v", *n, b, err)
		}
		if *n <= len(all) {
			all[*n-1](w, r)
			return
		}
		answer(w, http.StatusOK, map[string]string{})
	}
}

func status(code int, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		refuse(w, code, "no")
	}
}

// secondary is GitHub's answer when it was asked too much at once.
func secondary(headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		answer(w, http.StatusForbidden, map[string]string{
			"message":           "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
			"documentation_url": "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits",
		})
	}
}

func broken(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func reset(in time.Duration) string { return strconv.FormatInt(time.Now().Add(in).Unix(), 10) }

func TestRepetitionAndLimits(t *testing.T) {
	type want struct {
		calls   int
		status  int  // of the error
		limited bool // RateLimitError
		ok      bool
		unclear bool
		least   time.Duration // that it must take
		most    time.Duration
	}
	read := Call{Method: http.MethodGet, Path: "x"}
	post := Call{Method: http.MethodPost, Path: "x", Body: map[string]string{"a": "b"}, Once: true}
	again := Call{Method: http.MethodPost, Path: "x", Body: map[string]string{"a": "b"}}
	for _, test := range []struct {
		name string
		call Call
		all  func() []http.HandlerFunc
		want want
	}{
		{"fine", read, func() []http.HandlerFunc { return nil }, want{calls: 1, ok: true}},
		{
			"two 5xx", read, func() []http.HandlerFunc { return []http.HandlerFunc{status(502), status(503)} },
			want{calls: 3, ok: true, least: 700 * time.Millisecond, most: 5 * time.Second},
		},
		{
			"5xx for ever", read, func() []http.HandlerFunc {
				return []http.HandlerFunc{status(500), status(502), status(504), status(502)}
			},
			want{calls: 3, status: 504, unclear: true, most: 5 * time.Second},
		},
		{
			"broken connections", read, func() []http.HandlerFunc { return []http.HandlerFunc{broken, broken} },
			want{calls: 3, ok: true, most: 5 * time.Second},
		},
		{
			"a post that may be repeated", again, func() []http.HandlerFunc { return []http.HandlerFunc{broken, status(502)} },
			want{calls: 3, ok: true, most: 5 * time.Second},
		},
		{
			"a post that may not", post, func() []http.HandlerFunc { return []http.HandlerFunc{status(502)} },
			want{calls: 1, status: 502, unclear: true},
		},
		{
			"a post that broke", post, func() []http.HandlerFunc { return []http.HandlerFunc{broken} },
			want{calls: 1, unclear: true},
		},
		{"refused", read, func() []http.HandlerFunc { return []http.HandlerFunc{status(422)} }, want{calls: 1, status: 422}},
		{"forbidden", post, func() []http.HandlerFunc { return []http.HandlerFunc{status(403)} }, want{calls: 1, status: 403}},
		{"missing", read, func() []http.HandlerFunc { return []http.HandlerFunc{status(404)} }, want{calls: 1, status: 404}},

		{"primary limit, short", post, func() []http.HandlerFunc {
			return []http.HandlerFunc{status(403, "X-RateLimit-Remaining", "0", "X-RateLimit-Resource", "core", "X-RateLimit-Reset", reset(40*time.Second))}
		}, want{calls: 2, ok: true, least: 40 * time.Second, most: 45 * time.Second}},
		{"primary limit as 429", post, func() []http.HandlerFunc {
			return []http.HandlerFunc{status(429, "X-RateLimit-Remaining", "0", "X-RateLimit-Resource", "core", "X-RateLimit-Reset", reset(40*time.Second))}
		}, want{calls: 2, ok: true, least: 40 * time.Second, most: 45 * time.Second}},
		{"primary limit without a resource", post, func() []http.HandlerFunc {
			return []http.HandlerFunc{status(403, "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", reset(40*time.Second))}
		}, want{calls: 2, ok: true, least: 40 * time.Second, most: 45 * time.Second}},
		{"primary limit without a reset", post, func() []http.HandlerFunc {
			return []http.HandlerFunc{status(403, "X-RateLimit-Remaining", "0", "X-RateLimit-Resource", "core")}
		}, want{calls: 2, ok: true, least: time.Minute, most: 65 * time.Second}},
		{"a date to try again after", post, func() []http.HandlerFunc {
			return []http.HandlerFunc{secondary("Retry-After", time.Now().Add(30*time.Second).UTC().Format(http.TimeFormat))}
		}, want{calls: 2, ok: true, least: 29 * time.Second, most: 35 * time.Second}},
		{"forbidden, with a rate limit that is not used up", post, func() []http.HandlerFunc {
			return []http.HandlerFunc{status(403, "X-RateLimit-Remaining", "12", "X-RateLimit-Reset", reset(40*time.Minute))}
		}, want{calls: 1, status: 403}},
		{"primary limit, long", post, func() []http.HandlerFunc {
			return []http.HandlerFunc{status(403, "X-RateLimit-Remaining", "0", "X-RateLimit-Resource", "core", "X-RateLimit-Reset", reset(40*time.Minute))}
		}, want{calls: 1, limited: true}},
		{"the last call of an hour was fine", read, func() []http.HandlerFunc {
			return []http.HandlerFunc{func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X-RateLimit-Limit", "5000")
				w.Header().Set("X-RateLimit-Remaining", "0")
				w.Header().Set("X-RateLimit-Reset", reset(40*time.Minute))
				answer(w, http.StatusOK, 1)
			}}
		}, want{calls: 1, ok: true}},
		{
			"secondary limit", post, func() []http.HandlerFunc { return []http.HandlerFunc{secondary("Retry-After", "30")} },
			want{calls: 2, ok: true, least: 30 * time.Second, most: 35 * time.Second},
		},
		{"secondary limit twice", post, func() []http.HandlerFunc {
			return []http.HandlerFunc{secondary("Retry-After", "30"), secondary("Retry-After", "45")}
		}, want{calls: 3, ok: true, least: 75 * time.Second, most: 80 * time.Second}},
		{"secondary limit that does not say how long", post, func() []http.HandlerFunc {
			return []http.HandlerFunc{secondary("X-RateLimit-Remaining", "4000", "X-RateLimit-Reset", reset(40*time.Minute))}
		}, want{calls: 2, ok: true, least: time.Minute, most: 65 * time.Second}},
		{
			"secondary limit, long", post, func() []http.HandlerFunc { return []http.HandlerFunc{secondary("Retry-After", "600")} },
			want{calls: 1, limited: true},
		},
		{
			"a plain 429", post, func() []http.HandlerFunc { return []http.HandlerFunc{status(429, "Retry-After", "5")} },
			want{calls: 2, ok: true, least: 5 * time.Second, most: 8 * time.Second},
		},
		{"secondary limits for ever", post, func() []http.HandlerFunc {
			var all []http.HandlerFunc
			for range 50 {
				all = append(all, secondary("Retry-After", "50"))
			}
			return all
		}, want{calls: 4, limited: true, least: 2 * time.Minute, most: 5 * time.Minute}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				g := withToken(t, answers(t, &calls, test.all()...))
				began := time.Now()
				_, err := g.In(context.Background(), "acme/app", "do it", test.call)
				took := time.Since(began)
				var limited *RateLimitError
				got := want{calls: calls, status: StatusOf(err), limited: errors.As(err, &limited), ok: err == nil, unclear: Unclear(err)}
				got.least, got.most = test.want.least, test.want.most
				if d := cmp.Diff(test.want, got, cmp.AllowUnexported(want{})); d != "" {
					t.Errorf("error %v (-want +got):\n%s", err, d)
				}
				if took < test.want.least || test.want.most > 0 && took > test.want.most {
					t.Errorf("took %v, want %v to %v", took, test.want.least, test.want.most)
				}
				if limited != nil && time.Until(limited.Until) < 30*time.Second {
					t.Errorf("limited until %v, now it is %v", limited.Until, time.Now())
				}
				<-time.After(time.Hour) // the limiter's own timers end
			})
		})
	}
}

func TestLimitHoldsForAllCallsOfASession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		g := withToken(t, func(w http.ResponseWriter, r *http.Request) {
			if calls.Add(1) == 1 {
				secondary("Retry-After", "20")(w, r)
				return
			}
			answer(w, http.StatusOK, 1)
		})
		ctx := context.Background()
		go func() { _, _ = g.In(ctx, "acme/app", "first", Get("x", nil)) }()
		synctest.Wait()
		began := time.Now()
		if _, err := g.In(ctx, "acme/app", "second", Get("x", nil)); err != nil {
			t.Error(err)
		}
		if time.Since(began) < 20*time.Second {
			t.Errorf("a second call was sent after %v, while the limit held", time.Since(began))
		}
		synctest.Wait()
		if n := calls.Load(); n != 3 {
			t.Errorf("%d calls, want 3", n)
		}
	})
}

func TestCancelledWhileItWaits(t *testing.T) {
	for name, first := range map[string]http.HandlerFunc{
		"for a secondary limit": secondary("Retry-After", "50"),
		"for a primary limit":   status(429, "Retry-After", "50"),
		"between attempts":      status(502),
	} {
		synctest.Test(t, func(t *testing.T) {
			calls := 0
			g := withToken(t, answers(t, &calls, first, first, first))
			ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
			defer cancel()
			began := time.Now()
			_, err := g.In(ctx, "acme/app", "do it", Get("x", nil))
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > time.Second {
				t.Errorf("%s: %v after %v", name, err, time.Since(began))
			}
		})
	}
}

func TestTimeoutOfOneAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
		g := withToken(t, answers(t, &calls, hang))
		began := time.Now()
		if _, err := g.In(context.Background(), "acme/app", "do it", Get("x", nil)); err != nil {
			t.Errorf("one hung: %v", err)
		}
		if took := time.Since(began); took < 30*time.Second || took > 35*time.Second {
			t.Errorf("took %v, want the timeout of one call and a pause", took)
		}
		calls = 0
		g = withToken(t, answers(t, &calls, hang))
		_, err := g.In(context.Background(), "acme/app", "do it", Call{Method: http.MethodPut, Path: "x", Once: true})
		if !Unclear(err) || errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "nothing within 30s") {
			t.Errorf("error %v, want an unclear one that is not the caller's", err)
		}
	})
}

func TestNoMoreThanGitHubLikesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int32
		g := withToken(t, func(w http.ResponseWriter, _ *http.Request) {
			most.Store(max(most.Load(), now.Add(1)))
			<-time.After(time.Second)
			now.Add(-1)
			answer(w, http.StatusOK, 1)
		})
		for _, test := range []struct {
			method string
			want   int32
		}{{http.MethodPost, maxWrites}, {http.MethodGet, maxCalls}} {
			most.Store(0)
			done := make(chan error)
			for range 100 {
				go func() {
					_, err := g.In(context.Background(), "acme/app", "x", Call{Method: test.method, Path: "x"})
					done <- err
				}()
			}
			for range 100 {
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
			if most.Load() != test.want {
				t.Errorf("%d %s at once, want %d", most.Load(), test.method, test.want)
			}
		}
	})
}

func TestPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const total = 250
		g := withToken(t, func(w http.ResponseWriter, r *http.Request) {
			page, _ := strconv.Atoi(r.URL.Query().Get("page"))
			per, _ := strconv.Atoi(r.URL.Query().Get("per_page"))
			if page*per < total {
				w.Header().Set("Link", fmt.Sprintf(`<https://elsewhere.example/x?page=%d>; rel="next", <https://elsewhere.example/x?page=3>; rel="last"`, page+1))
			}
			var out []int
			for i := (page - 1) * per; i < min(page*per, total); i++ {
				out = append(out, i)
			}
			answer(w, http.StatusOK, out)
		})
		var all []int
		err := Pages(context.Background(), g, "acme/app", "list", Get("x", nil), func(p []int) { all = append(all, p...) })
		if err != nil || len(all) != total || all[total-1] != total-1 {
			t.Errorf("%d of %d, %v", len(all), total, err)
		}
	})
}

// TestPagesOfATroubledList has the second page fail, for a moment or for good:
// a list comes whole or not at all.
func TestPagesOfATroubledList(t *testing.T) {
	for name, test := range map[string]struct {
		fails int
		with  http.HandlerFunc
		calls int
		whole bool
	}{
		"a moment":        {2, status(502), 5, true},
		"broken":          {1, broken, 4, true},
		"secondary limit": {1, secondary("Retry-After", "30"), 4, true},
		"for good":        {9, status(503), 4, false},
		"forbidden now":   {9, status(403), 2, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				g := withToken(t, func(w http.ResponseWriter, r *http.Request) {
					calls++
					page, _ := strconv.Atoi(r.URL.Query().Get("page"))
					if page == 2 && test.fails > 0 {
						test.fails--
						test.with(w, r)
						return
					}
					if page < 3 {
						w.Header().Set("Link", fmt.Sprintf(`<https://x.example/?page=%d>; rel="next"`, page+1))
					}
					answer(w, http.StatusOK, []int{page})
				})
				var all []int
				err := Pages(context.Background(), g, "acme/app", "list", Get("x", nil), func(p []int) { all = append(all, p...) })
				if (err == nil) != test.whole || test.whole && !slices.Equal(all, []int{1, 2, 3}) || calls != test.calls {
					t.Errorf("%v, %v, %d calls", all, err, calls)
				}
				<-time.After(time.Hour) // the limiter's own timers end
			})
		})
	}
}

func TestI8_RedirectsDoNotLeakTheToken(t *testing.T) {
	var seen atomic.Int32
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { seen.Add(1) }))
	defer thief.Close()
	var got []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.Method+" "+r.URL.Path+" "+r.Header.Get("Authorization"))
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, thief.URL+"/x", http.StatusMovedPermanently)
		case "/renamed":
			http.Redirect(w, r, "/new", http.StatusTemporaryRedirect)
		case "/found":
			http.Redirect(w, r, "/new", http.StatusFound)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusTemporaryRedirect)
		default:
			b, _ := io.ReadAll(r.Body)
			answer(w, http.StatusOK, string(b))
		}
	}))
	defer srv.Close()
	g := client(t, Config{BaseURL: srv.URL, Token: StaticToken("ghp_secret")})
	defer g.Close()
	ctx := context.Background()

	for _, c := range []Call{
		Get("away", nil),
		{Method: http.MethodPost, Path: "away", Body: 1},
		Get(thief.URL+"/direct", nil),
		{Method: http.MethodPost, Path: "found", Body: 1, Once: true},
		Get("loop", nil),
	} {
		c.Once = true
		if _, err := g.In(ctx, "acme/app", "go", c); err == nil || strings.Contains(err.Error(), "ghp_") {
			t.Errorf("%s %s: %v, want an error without the token", c.Method, c.Path, err)
		}
	}
	if n := seen.Load(); n != 0 {
		t.Errorf("another host got %d requests", n)
	}
	got = nil
	var body string
	if _, err := g.In(ctx, "acme/app", "go", Call{Method: http.MethodPost, Path: "renamed", Body: "hello", Out: &body}); err != nil || body != "\"hello\"\n" {
		t.Errorf("a renamed repository: %q, %v", body, err)
	}
	want := []string{"POST /renamed Bearer ghp_secret", "POST /new Bearer ghp_secret"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("requests (-want +got):\n%s", d)
	}
}

// TestI8_NoTokenInErrorsOrLogs lets GitHub (or what stands before it) repeat
// everything that it was sent, in each way a call can fail.
func TestI8_NoTokenInErrorsOrLogs(t *testing.T) {
	echo := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Echo", r.Header.Get("Authorization"))
			refuse(w, code, fmt.Sprintf("you sent %v", r.Header))
		}
	}
	for _, first := range []http.HandlerFunc{
		echo(400), echo(401), echo(403), echo(404), echo(422), echo(429), echo(500), broken,
		func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-RateLimit-Remaining", "0")
			w.Header().Set("X-RateLimit-Resource", "core")
			w.Header().Set("X-RateLimit-Reset", reset(time.Hour))
			echo(403)(w, r)
		},
		func(w http.ResponseWriter, r *http.Request) { _, _ = fmt.Fprintf(w, "no JSON: %v", r.Header) },
	} {
		synctest.Test(t, func(t *testing.T) {
			var out logged
			log := slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
			h := newAppHost(map[string]int64{"acme/app": 1})
			apps := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/ping") || r.Header.Get("X-Test") != "" {
					first(w, r)
					return
				}
				h.ServeHTTP(w, r)
			})
			tokens := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/access_tokens") {
					first(w, r)
					return
				}
				h.ServeHTTP(w, r)
			})
			for _, g := range []*Client{
				client(t, Config{Token: StaticToken("ghs_secret_of_mine"), HTTP: inProcess{first}, Log: log}),
				client(t, Config{App: &App{ID: testApp, PrivateKey: keyPEM()}, HTTP: inProcess{apps}, Log: log}),
				client(t, Config{App: &App{ID: testApp, PrivateKey: keyPEM()}, HTTP: inProcess{tokens}, Log: log}),
				client(t, Config{App: &App{ID: testApp, PrivateKey: keyPEM()}, HTTP: inProcess{first}, Log: log}),
			} {
				_, err := ping(g, "acme/app")
				if err == nil {
					t.Fatal("no error")
				}
				log.Error("failed", "err", err, "as", fmt.Sprintf("%+v %#v", err, err), "value", err)
				_, err = g.Token(context.Background(), "acme/app")
				log.Error("failed", "err", err, "as", fmt.Sprintf("%+v %#v", err, err))
			}
			<-time.After(2 * time.Hour) // the limiter's own timers end
			for _, secret := range []string{"ghs_", "eyJ", "RSA PRIVATE"} {
				if strings.Contains(out.String(), secret) {
					t.Errorf("the log holds %q:\n%s", secret, out.String())
				}
			}
		})
	}
}

func TestOnCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		h := newAppHost(map[string]int64{"acme/app": 1})
		g := client(t, Config{
			App: &App{ID: testApp, PrivateKey: keyPEM()}, HTTP: inProcess{h},
			OnCall: func(method, route string, status int, _ time.Duration) {
				got = append(got, fmt.Sprint(method, " ", route, " ", status))
			},
		})
		if _, err := ping(g, "acme/app"); err != nil {
			t.Fatal(err)
		}
		want := []string{
			"GET /repos/{}/{}/installation 200", "POST /app/installations/{}/access_tokens 201", "GET /repos/{}/{}/ping 200",
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("calls (-want +got):\n%s", d)
		}
	})
}

func TestRoute(t *testing.T) {
	for _, test := range []struct{ base, url, want string }{
		{"https://h/api/v3/", "https://h/api/v3/repos/pulls/issues/pulls/12/reviews?page=2", "/repos/{}/{}/pulls/{}/reviews"},
		{"https://h/api/v3/", "https://h/api/v3/repos/a/b/issues/12/comments", "/repos/{}/{}/issues/{}/comments"},
		{"https://h/api/v3/", "https://h/api/v3/repos/a/b/issues/comments/5", "/repos/{}/{}/issues/comments/{}"},
		{"https://h/api/v3/", "https://h/api/v3/repos/a/b/branches/a%2Fb/protection", "/repos/{}/{}/branches/{}/protection"},
		{"https://h/api/v3/", "https://h/api/v3/repos/a/b/rules/branches/main", "/repos/{}/{}/rules/branches/{}"},
		{"https://h/api/v3/", "https://h/api/v3/repos/a/ref/git/refs/heads/weir/issues/7", "/repos/{}/{}/git/refs/{}"},
		{"https://h/api/v3/", "https://h/api/v3/repos/a/b/git/commits/3f2a91c", "/repos/{}/{}/git/commits/{}"},
		{"https://h/api/v3/", "https://h/api/graphql", "/graphql"},
		{"https://api.github.com/", "https://api.github.com/graphql", "/graphql"},
		{"https://api.github.com/", "https://api.github.com/repos/a/b/collaborators/x%5Bbot%5D/permission", "/repos/{}/{}/collaborators/{}/permission"},
		{"https://api.github.com/", "https://api.github.com/orgs/a/teams/b/memberships/c", "/orgs/{}/teams/{}/memberships/{}"},
		{"https://api.github.com/", "https://api.github.com/repositories/9/pulls/1", "/repositories/{}/pulls/{}"},
		{"https://api.github.com/", "https://api.github.com/app", "/app"},
	} {
		if got := route(parse(t, test.base), parse(t, test.url)); got != test.want {
			t.Errorf("%s: %s, want %s", test.url, got, test.want)
		}
	}
}
