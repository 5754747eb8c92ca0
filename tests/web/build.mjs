// node build.mjs CONFIG FOLDER: the page with its configuration, ready to be served, in FOLDER.
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const [configFile, folder] = process.argv.slice(2);
const source = fileURLToPath(new URL(".", import.meta.url));
const config = JSON.parse(await readFile(configFile, "utf8"));
for (const name of ["region", "userPoolId", "userPoolClientId", "stepUpClientId", "sessionUrl"]) {
  if (!config[name]) throw new Error(`${configFile}: no ${name}`);
}

// The page may speak to these two and to nobody else.
const pool = config.userPoolEndpoint ?? `https://cognito-idp.${config.region}.amazonaws.com`;
const connect = [pool, config.sessionUrl].map((url) => new URL(url).origin);

await mkdir(folder, { recursive: true });
await build({
  entryPoints: [join(source, "src/app.js")],
  outfile: join(folder, "app.js"),
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  logLevel: "warning",
});
const page = await readFile(join(source, "index.html"), "utf8");
await writeFile(join(folder, "index.html"), page.replace("%CONNECT%", [...new Set(connect)].join(" ")));
await copyFile(join(source, "style.css"), join(folder, "style.css"));
await writeFile(join(folder, "config.json"), JSON.stringify(config));
