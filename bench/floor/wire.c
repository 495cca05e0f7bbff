// wire.c: SHA-1 and base64, as far as a WebSocket handshake needs them.
#include "wire.h"

static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; // RFC 6455, 1.3

static uint32_t rotl(uint32_t v, int n) { return v << n | v >> (32 - n); }

static void sha1_block(uint32_t h[5], const uint8_t *p) {
	uint32_t w[80];
	for (int i = 0; i < 16; i++)
		w[i] = (uint32_t)p[4 * i] << 24 | p[4 * i + 1] << 16 | p[4 * i + 2] << 8 | p[4 * i + 3];
	for (int i = 16; i < 80; i++)
		w[i] = rotl(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
	uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
	for (int i = 0; i < 80; i++) {
		uint32_t f, k;
		if (i < 20)
			f = (b & c) | (~b & d), k = 0x5a827999;
		else if (i < 40)
			f = b ^ c ^ d, k = 0x6ed9eba1;
		else if (i < 60)
			f = (b & c) | (b & d) | (c & d), k = 0x8f1bbcdc;
		else
			f = b ^ c ^ d, k = 0xca62c1d6;
		uint32_t t = rotl(a, 5) + f + e + k + w[i];
		e = d, d = c, c = rotl(b, 30), b = a, a = t;
	}
	h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
}

void base64(const uint8_t *p, size_t n, char *out) {
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	for (size_t i = 0; i < n; i += 3, out += 4) {
		uint32_t v = p[i] << 16 | (i + 1 < n ? p[i + 1] << 8 : 0) | (i + 2 < n ? p[i + 2] : 0);
		out[0] = set[v >> 18];
		out[1] = set[v >> 12 & 63];
		out[2] = i + 1 < n ? set[v >> 6 & 63] : '=';
		out[3] = i + 2 < n ? set[v & 63] : '=';
	}
}

void accept_key(const char key[KEY_LEN], char out[ACCEPT_LEN]) {
	// 60 bytes of key and GUID, the end mark and the length: always two blocks.
	uint8_t block[128] = {0};
	memcpy(block, key, KEY_LEN);
	memcpy(block + KEY_LEN, guid, sizeof guid - 1);
	block[60] = 0x80;
	block[126] = 60 * 8 >> 8;
	block[127] = 60 * 8 & 255;
	uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
	sha1_block(h, block);
	sha1_block(h, block + 64);
	uint8_t sum[20];
	for (int i = 0; i < 20; i++)
		sum[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
	base64(sum, sizeof sum, out);
}
