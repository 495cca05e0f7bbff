// Values with Buffers as JSON, between a test and the servers that it calls: {"$binary": base64} stands for a Buffer.
export const encode = v => {
  if (v === undefined) return null;
  if (v instanceof Uint8Array) return { $binary: Buffer.from(v).toString('base64') };
  if (Array.isArray(v)) return v.map(encode);
  if (v && typeof v === 'object') return Object.fromEntries(Object.keys(v).sort().map(k => [k, encode(v[k])]));
  return v;
};
export const decode = v => {
  if (Array.isArray(v)) return v.map(decode);
  if (!v || typeof v !== 'object') return v;
  if ('$binary' in v) return Buffer.from(v.$binary, 'base64');
  return Object.fromEntries(Object.entries(v).map(([k, e]) => [k, decode(e)]));
};
