// The nearest known word to one that is not known.

package settings

import "strings"

// Nearest returns the candidate that a typing error most likely turned into word, or "" when none
// is near: at most a third of its letters may differ, and always one may. A candidate that word
// begins (three letters or more) is near too. Dashes and underscores are the same letter.
func Nearest(word string, candidates []string) string {
	word = fold(word)
	best, bestDistance := "", max(1, len(word)/3)+1
	for _, candidate := range candidates {
		if d := distance(word, fold(candidate)); d < bestDistance {
			best, bestDistance = candidate, d
		}
	}
	if best != "" || len(word) < 3 {
		return best
	}
	for _, candidate := range candidates {
		if strings.HasPrefix(fold(candidate), word) {
			return candidate
		}
	}
	return ""
}

// suggest is the half sentence with the nearest candidate, or "".
func suggest(word string, candidates []string) string {
	if near := Nearest(word, candidates); near != "" {
		return "; did you mean " + near + "?"
	}
	return ""
}

func fold(s string) string { return strings.ReplaceAll(strings.ToLower(s), "_", "-") }

// distance counts the insertions, deletions, substitutions and swaps of neighbours that make a of b
// (optimal string alignment), so that "lisetn" is one step from "listen".
func distance(a, b string) int {
	beforeLast, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], beforeLast[j-2]+1)
			}
		}
		beforeLast, last = last, row
	}
	return last[len(b)]
}
