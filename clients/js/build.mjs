// Makes dist/ of src/: one ES module, and one classic script whose global is c100k. With --check it
// writes nothing, and fails if dist/ is not what src/ gives.
import { build } from 'esbuild';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const here = path => fileURLToPath(new URL(path, import.meta.url));
const check = process.argv.includes('--check');

for (const [file, format] of [['c100k.mjs', 'esm'], ['c100k.js', 'iife']]) {
  const { outputFiles: [made] } = await build({
    entryPoints: [here('src/c100k.mjs')], outfile: here('dist/' + file), format,
    globalName: format === 'iife' ? 'c100k' : undefined, minify: true, target: 'es2022', write: false,
    banner: { js: '/* The client of c100k; its source is clients/js/src/c100k.mjs. */' },
  });
  if (!check) writeFileSync(made.path, made.contents);
  else if (!readFileSync(made.path).equals(Buffer.from(made.contents))) {
    console.error(`dist/${file} is not what src/ gives: run npm run build`);
    process.exitCode = 1;
  }
}
