package literal

import (
	"slices"

	"github.com/zclconf/go-cty/cty"
)

// MaxPairs bounds how many pairs of elements are compared.
const MaxPairs = 1 << 20

// Match says which declared element each of n written ones comes to. In their
// order if that agrees, else in any, which only sets have. rest is whether to
// give those that agree with none what is left, in order.
func Match(n int, says []cty.Value, agrees func(i int, v cty.Value) bool, rest bool) (said []cty.Value, unordered bool) {
	said = make([]cty.Value, n)
	if len(says) == n && !slices.ContainsFunc(index(n), func(i int) bool { return !agrees(i, says[i]) }) {
		copy(said, says)
		return said, false
	}
	taken := make([]bool, len(says))
	missing := 0
	for i := range said {
		for j, v := range says {
			if !taken[j] && agrees(i, v) {
				said[i], taken[j] = v, true
				break
			}
		}
		if !Known(said[i]) {
			missing++
		}
	}
	unordered = missing == 0 && len(says) == n
	for i := 0; i < n && rest; i++ {
		if j := slices.Index(taken, false); !Known(said[i]) && j >= 0 {
			said[i], taken[j] = says[j], true
		}
	}
	return said, unordered
}

func index(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// Impossible is the cost of what cannot be expressed. It is paired last, for
// its reason to be told.
const Impossible = 1 << 20

// Align says which wanted element each written one becomes, -1 for none, and
// which are new behind which (-1: before the first). moved is whether an order
// that differs is to be put right although all elements are there: where
// something else differs too, it is a set's.
func Align(costs [][]int, have, want int, unordered, moved bool) (to []int, inserts map[int][]int) {
	to = make([]int, have)
	for i := range to {
		to[i] = -1
	}
	taken := make([]bool, want)
	pair := func(i, j int) { to[i], taken[j] = j, true }
	exact := 0
	for i := range to {
		for j := range taken {
			if to[i] < 0 && !taken[j] && costs[i][j] == 0 {
				pair(i, j)
				exact++
			}
		}
	}
	inserts = map[int][]int{}
	if exact == have && have == want && (unordered || !moved) {
		return to, inserts
	}
	if unordered {
		for {
			bestI, bestJ := -1, -1
			for i := range to {
				for j := range taken {
					if to[i] < 0 && !taken[j] && (bestI < 0 || costs[i][j] < costs[bestI][bestJ]) {
						bestI, bestJ = i, j
					}
				}
			}
			if bestI < 0 {
				break
			}
			pair(bestI, bestJ)
		}
		last := have - 1
		for last >= 0 && to[last] < 0 {
			last--
		}
		for j := range taken {
			if !taken[j] {
				inserts[last] = append(inserts[last], j)
			}
		}
		return to, inserts
	}
	to = ordered(costs, have, want)
	next, last := 0, -1
	for i := 0; i <= have; i++ {
		end := want
		if i < have {
			if to[i] < 0 {
				continue
			}
			end = to[i]
		}
		for ; next < end; next++ {
			inserts[last] = append(inserts[last], next)
		}
		next, last = end+1, i
	}
	return to, inserts
}

// ordered pairs the longest common subsequence, and in order what stands
// between.
func ordered(costs [][]int, have, want int) []int {
	length := make([][]int32, have+1)
	for i := range length {
		length[i] = make([]int32, want+1)
	}
	for i := have - 1; i >= 0; i-- {
		for j := want - 1; j >= 0; j-- {
			length[i][j] = max(length[i+1][j], length[i][j+1])
			if costs[i][j] == 0 {
				length[i][j] = max(length[i][j], length[i+1][j+1]+1)
			}
		}
	}
	to := make([]int, have)
	i, j, fromI, fromJ := 0, 0, 0, 0
	between := func() {
		for fromI < i {
			to[fromI] = -1
			if fromJ < j {
				to[fromI] = fromJ
				fromJ++
			}
			fromI++
		}
	}
	for i < have && j < want {
		switch {
		case costs[i][j] == 0 && length[i][j] == length[i+1][j+1]+1:
			between()
			to[i] = j
			i, j = i+1, j+1
			fromI, fromJ = i, j
		case length[i+1][j] >= length[i][j+1]:
			i++
		default:
			j++
		}
	}
	i, j = have, want
	between()
	return to
}
