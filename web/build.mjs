// Builds the page into chalicelib/web (or --out DIRECTORY); with --tests, the unit tests into build/tests.
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const option = (name) => process.argv[process.argv.indexOf(name) + 1];
const out = process.argv.includes("--out") ? resolve(option("--out")) : join(here, "..", "chalicelib", "web");
const common = {
  absWorkingDir: here,
  bundle: true,
  // by createElement(), whose children need no name: five kilobytes less than the automatic runtime that tsconfig.json types by
  tsconfigRaw: { compilerOptions: { jsx: "react", jsxFactory: "createElement", jsxFragmentFactory: "Fragment" } },
  inject: [join(here, "src", "jsx.ts")],
  target: "es2022",
  logLevel: "warning",
};

if (process.argv.includes("--tests")) await buildTests();
else await buildPage();

async function buildTests() {
  rmSync(join(here, "build", "tests"), { recursive: true, force: true });
  const entryPoints = readdirSync(join(here, "test")).map((name) => join("test", name));
  await build({
    ...common,
    entryPoints,
    outdir: "build/tests",
    outExtension: { ".js": ".mjs" },
    platform: "node",
    format: "esm",
    packages: "external",
  });
}

async function buildPage() {
  const result = await build({
    ...common,
    entryPoints: { app: "src/main.tsx" },
    outdir: out,
    minify: true,
    format: "iife",
    charset: "utf8",
    legalComments: "none",
    metafile: true,
    write: false,
  });
  mkdirSync(out, { recursive: true });
  const files = Object.fromEntries(
    result.outputFiles.map(({ path, contents }) => [path.slice(out.length + 1), contents]),
  );
  files["icon.svg"] = readFileSync(join(here, "icon.svg"));
  files["licences.txt"] = Buffer.from(licences(result.metafile));
  files["index.html"] = Buffer.from(withVersions(readFileSync(join(here, "index.html"), "utf8"), files));
  for (const [name, contents] of Object.entries(files)) writeFileSync(join(out, name), contents);
}

/** Each asset's address with the start of its SHA-256, by which a browser may keep it for ever. */
function withVersions(page, files) {
  return page.replace(
    /"assets\/([^"]+)"/g,
    (_, name) => `"assets/${name}?v=${createHash("sha256").update(files[name]).digest("hex").slice(0, 16)}"`,
  );
}

/** The licence of every package that a byte of the page comes from. */
function licences({ inputs }) {
  const packages = new Set(
    Object.keys(inputs).flatMap((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? []),
  );
  const texts = [...packages].sort().map((name) => {
    const folder = join(here, "node_modules", name);
    const { version, license, homepage } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
    if (!file) throw new Error(`${name} has no licence file`);
    return `${name} ${version} (${license})${homepage ? `\n${homepage}` : ""}\n\n${readFileSync(join(folder, file), "utf8").trim()}\n`;
  });
  return `Libraries in Fillrate's page, and their licences\n\n${texts.join(`\n${"-".repeat(72)}\n\n`)}`;
}
