package measure

import (
	"crypto/rand"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"weir/integration/services"
	"weir/store/dynamo"
	"weir/store/storetest"
)

func TestThroughput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for replicas := 1; replicas <= 3; replicas++ {
			s := Setup{Store: storetest.Memory(), Replicas: replicas, Workers: 2}
			r, err := Throughput(t.Context(), s, 60, time.Second)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := r.PerSecond(), 2*float64(replicas); got < 0.9*want || got > want {
				t.Errorf("%d replicas did %.1f jobs a second, want %.1f", replicas, got, want)
			}
			t.Logf("%d replicas: %+v", replicas, r)
		}
	})
}

func TestTakeover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		took, err := Takeover(t.Context(), Setup{Store: storetest.Memory(), Replicas: 2, Lease: 30 * time.Second})
		if err != nil || took < 25*time.Second || took > 35*time.Second {
			t.Errorf("a takeover took %v, %v", took, err)
		}
		t.Log(took)
	})
}

func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := Idle(t.Context(), Setup{Store: storetest.Memory(), Replicas: 3}, time.Hour)
		if err != nil || c.Lists < 720 || c.Lists > 1300 || c.Gets+c.Commits > 0 {
			t.Errorf("an idle hour: %+v, %v", c, err)
		}
	})
}

func BenchmarkDynamo(b *testing.B) {
	for replicas := 1; replicas <= 3; replicas++ {
		url := "dynamodb://work-" + strings.ToLower(rand.Text()) + "?region=eu-west-1&endpoint=" + services.Dynamo(b)
		if err := dynamo.Init(b.Context(), url); err != nil {
			b.Fatal(err)
		}
		s, err := dynamo.Open(b.Context(), url)
		if err != nil {
			b.Fatal(err)
		}
		r, err := Throughput(b.Context(), Setup{Store: s, Replicas: replicas, Workers: 4}, 100, 50*time.Millisecond)
		if err != nil {
			b.Fatal(err)
		}
		b.Logf("%d replicas: %.1f jobs a second, %+v", replicas, r.PerSecond(), r)
		took, err := Takeover(b.Context(), Setup{Store: s, Replicas: max(replicas, 2), Lease: 3 * time.Second})
		if err != nil {
			b.Fatal(err)
		}
		b.Logf("a takeover with a lease of 3 s: %v", took)
		_ = s.Close()
	}
}
