// Makes dist/ of src/: one ES module, and one classic script whose global is c100k. The script is the
// module in a function that returns what is exported: esbuild's own form of it is larger. With --check
// it writes nothing, and fails if dist/ is not what src/ gives.
import { build } from 'esbuild';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const here = path => fileURLToPath(new URL(path, import.meta.url));
const check = process.argv.includes('--check');
const banner = '/* The client of c100k; its source is clients/js/src/c100k.mjs. */\n';

const { outputFiles: [{ text }] } = await build({
  entryPoints: [here('src/c100k.mjs')], bundle: true, format: 'esm', minify: true, target: 'es2022', write: false,
});
const [, code, names] = /^(.*)export\{([^}]*)\};\n$/s.exec(text);
const exported = names.replace(/(\w+) as (\w+)/g, '$2:$1');

for (const [file, made] of [
  ['c100k.mjs', banner + text],
  ['c100k.js', `${banner}var c100k=(()=>{${code}return{${exported}}})();\n`],
]) {
  if (!check) writeFileSync(here('dist/' + file), made);
  else if (readFileSync(here('dist/' + file), 'utf8') !== made) {
    console.error(`dist/${file} is not what src/ gives: run npm run build`);
    process.exitCode = 1;
  }
}
