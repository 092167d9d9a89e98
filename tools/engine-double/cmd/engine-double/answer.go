package main

import "hash/fnv"

// words: what the double says. The i-th word of an answer is words[(fnv1a(prompt) + i) mod 16].
var words = [16]string{
	"amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron",
	"indigo", "juniper", "kestrel", "lagoon", "meadow", "nectar", "opal", "pine",
}

// answer gives the tokens of an answer one by one: a known one for every prompt.
type answer struct {
	seed  uint32
	count int
}

func newAnswer(prompt string, count int) answer {
	digest := fnv.New32a()
	_, _ = digest.Write([]byte(prompt))
	return answer{seed: digest.Sum32(), count: count}
}

func (a answer) token(index int) string {
	word := words[(uint64(a.seed)+uint64(index))%uint64(len(words))]
	if index == 0 {
		return word
	}
	return " " + word
}

func (a answer) text() string {
	text := ""
	for index := range a.count {
		text += a.token(index)
	}
	return text
}
