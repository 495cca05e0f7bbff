// histogram.h: latencies in logarithmic buckets, 32 to each power of two: about 3 % wide.
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stdint.h>

enum { SUB = 32, BUCKETS = 60 * SUB };

struct histogram {
	uint64_t count, max;
	uint64_t buckets[BUCKETS];
};

static inline unsigned histogram_bucket(uint64_t v) {
	if (v < SUB)
		return (unsigned)v;
	unsigned shift = 58 - (unsigned)__builtin_clzll(v); // leaves six bits, the highest of them set
	return (shift + 1) * SUB + (unsigned)(v >> shift) - SUB;
}

static inline void histogram_add(struct histogram *h, uint64_t v) {
	h->count++;
	if (v > h->max)
		h->max = v;
	h->buckets[histogram_bucket(v)]++;
}

// The upper edge of the bucket below which the share q of all values lies.
static inline uint64_t histogram_quantile(const struct histogram *h, double q) {
	uint64_t want = (uint64_t)(q * (double)h->count + 0.5), seen = 0;
	for (unsigned i = 0; i < BUCKETS; i++) {
		seen += h->buckets[i];
		if (seen < want || seen == 0)
			continue;
		if (i < SUB)
			return i;
		unsigned shift = i / SUB - 1;
		uint64_t edge = (((uint64_t)SUB + i % SUB + 1) << shift) - 1;
		return edge < h->max ? edge : h->max;
	}
	return h->max;
}

#endif
