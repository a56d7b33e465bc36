// Compiles src/**/*.sol and writes one artifact per contract: ../abi/<Name>.json, for those in src/test
// ../abi/test/<Name>.json. The same sources give the same bytes on every machine.
//
//   node build.mjs           write the artifacts
//   node build.mjs --check   write nothing; exit 1 and name each artifact that differs from what would be written

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(here);
const abiDirectory = join(root, "abi");

const settings = {
  // Paris: no opcode that a Moonbeam runtime, old or new, would not know.
  evmVersion: "paris",
  optimizer: { enabled: true, runs: 200 },
  // Without it the bytecode would change with every comment.
  metadata: { bytecodeHash: "none" },
  outputSelection: {
    "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"] },
  },
};

/** Ends the program with a message on stderr. */
function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

/** Paths of all files with this ending below a directory, relative to it, with forward slashes, sorted. */
function filesBelow(directory, ending) {
  if (!existsSync(directory)) return [];
  const found = [];
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    if (entry.isDirectory()) {
      found.push(...filesBelow(join(directory, entry.name), ending).map((path) => `${entry.name}/${path}`));
    } else if (entry.name.endsWith(ending)) {
      found.push(entry.name);
    }
  }
  return found.sort();
}

/** The compiler, which must be the one that package.json pins. */
async function loadCompiler() {
  const wanted = JSON.parse(readFileSync(join(here, "package.json"), "utf8")).dependencies.solc;
  let solc;
  try {
    solc = (await import("solc")).default;
  } catch (error) {
    if (error.code !== "ERR_MODULE_NOT_FOUND") throw error;
    fail("the compiler is not installed; run `npm ci` in contracts/ first");
  }
  if (!solc.version().startsWith(`${wanted}+`)) {
    fail(`package.json pins solc ${wanted}, installed is ${solc.version()}; run \`npm ci\` in contracts/`);
  }
  return solc;
}

/** Reads an imported file of a package. */
function findImport(path) {
  const file = join(here, "node_modules", path);
  return existsSync(file) ? { contents: readFileSync(file, "utf8") } : { error: `${path} is not installed` };
}

/** Compiles everything; a Map from the artifact's path in abi/ to its text. */
function compile(solc) {
  const names = filesBelow(join(here, "src"), ".sol").map((path) => `src/${path}`);
  const sources = Object.fromEntries(names.map((name) => [name, { content: readFileSync(join(here, name), "utf8") }]));
  const input = { language: "Solidity", sources, settings };
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: findImport }));
  // A warning about a file of ours stops the build like an error. Those about packages are not ours to mend.
  const complaints = (output.errors ?? []).filter(
    (entry) =>
      entry.severity === "error" || (entry.severity === "warning" && !/^@/.test(entry.sourceLocation?.file ?? "")),
  );
  if (complaints.length > 0) fail(complaints.map((entry) => entry.formattedMessage).join("\n"));

  const artifacts = new Map();
  for (const sourceName of names) {
    for (const [contractName, contract] of Object.entries(output.contracts[sourceName] ?? {})) {
      if (contractName !== basename(sourceName, ".sol")) {
        fail(`${sourceName} has a contract named ${contractName}; one contract per file, named like it`);
      }
      const artifact = {
        _format: "hh-sol-artifact-1",
        contractName,
        sourceName,
        abi: contract.abi,
        bytecode: `0x${contract.evm.bytecode.object}`,
        deployedBytecode: `0x${contract.evm.deployedBytecode.object}`,
        linkReferences: {},
        deployedLinkReferences: {},
      };
      const folder = dirname(relative("src", sourceName));
      artifacts.set(join(folder, `${contractName}.json`), `${JSON.stringify(artifact, null, 2)}\n`);
    }
  }
  return artifacts;
}

const unknown = process.argv.slice(2).filter((argument) => argument !== "--check");
if (unknown.length > 0) fail(`unknown argument ${unknown[0]}; usage: node build.mjs [--check]`);

const artifacts = compile(await loadCompiler());
const problems = filesBelow(abiDirectory, ".json")
  .filter((path) => !artifacts.has(path))
  .map((path) => `abi/${path} belongs to no source file`);
for (const [path, text] of artifacts) {
  const file = join(abiDirectory, path);
  const committed = existsSync(file) ? readFileSync(file, "utf8") : undefined;
  if (committed === text) continue;
  if (process.argv.includes("--check")) {
    problems.push(`abi/${path} ${committed === undefined ? "is missing" : "differs from its source"}`);
  } else {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
    process.stdout.write(`abi/${path}\n`);
  }
}
if (problems.length > 0) fail(`${problems.join("\n")}\nrebuild with \`node build.mjs\` in contracts/`);
