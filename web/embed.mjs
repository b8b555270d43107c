// embed.mjs FOLDER OUT.cpp: the files of a folder as arrays in a C++ source (src/serve/page_files.h).
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { extname, join, relative, sep } from 'node:path';
import { gzipSync } from 'node:zlib';

const contentTypes = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

const [folder, out] = process.argv.slice(2);

function filesOf(path) {
  return readdirSync(path, { withFileTypes: true })
    .flatMap((entry) => (entry.isDirectory() ? filesOf(join(path, entry.name)) : [join(path, entry.name)]))
    .sort();
}

const array = (name, bytes) => `constexpr char ${name}[] = {${new Int8Array(bytes).join(',')}};\n`;

let arrays = '';
let table = '';
filesOf(folder).forEach((file, i) => {
  const content = readFileSync(file);
  const path = relative(folder, file).split(sep).join('/');
  const type = contentTypes[extname(file)];
  if (!type) throw new Error(`${path}: no content type is known for it`);
  const gzip = gzipSync(content, { level: 9 });
  const etag = createHash('sha256').update(content).digest('hex').slice(0, 16);
  arrays += array(`kFile${i}`, content) + array(`kGzip${i}`, gzip);
  table +=
    `    {"/${path === 'index.html' ? '' : path}", "${type}", {kFile${i}, sizeof kFile${i}}, {kGzip${i}, sizeof kGzip${i}}, ` +
    `"W/\\"${etag}\\"", ${path.startsWith('assets/')}},\n`;
});

writeFileSync(
  out,
  `// Made from web/ by web/embed.mjs.
#include "serve/page_files.h"

namespace fovea::serve {
namespace {

${arrays}
constexpr PageFile kFiles[] = {
${table}};

}  // namespace

std::span<const PageFile> page_files() { return kFiles; }

}  // namespace fovea::serve
`,
);
