// Where do CloudNativePG's resources (a list as JSON on standard input) break the schema of their kind, or have fields that it
// doesn't know? Prints a list as JSON. The argument is the folder in which package-lock.json was installed. Of an ObjectStore, which
// is the plugin's, only its configuration has a schema here.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const PACKAGE = `${pathToFileURL(process.argv[2])}/node_modules/@kubernetes-models/cloudnative-pg`;
const KINDS = `${PACKAGE}/_schemas/ComGithubCloudnativePgCloudnativePgApiV1`;
const STORE = `${PACKAGE}/_schemas/ComGithubCloudnativePgBarmanCloudPkgApiBarmanObjectStoreConfiguration.js`;

// The validators pass over what they don't know, so whatever they never look at is unknown.
function watched(value, path, unseen) {
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map((item, index) => watched(item, `${path}/${index}`, unseen));
  const inner = {};
  for (const [key, item] of Object.entries(value)) {
    unseen.add(`${path}/${key}`);
    inner[key] = watched(item, `${path}/${key}`, unseen);
  }
  return new Proxy(inner, {
    get(target, key) {
      unseen.delete(`${path}/${String(key)}`);
      return target[key];
    },
  });
}

const faults = [];
for (const document of JSON.parse(readFileSync(0, "utf8"))) {
  const stored = document.kind === "ObjectStore";
  const { validate } = await import(stored ? STORE : `${KINDS}${document.kind}.js`);
  const unseen = new Set();
  validate(watched(stored ? document.spec.configuration : document, "", unseen));
  for (const error of validate.errors ?? []) faults.push(`${document.kind}${error.instancePath}: ${error.keyword} ${JSON.stringify(error.params)}`);
  for (const path of unseen) faults.push(`${document.kind}${path}: unknown`);
}
console.log(JSON.stringify(faults));
