// node drive.mjs PACKAGES CONSOLE STRANGER CHROMIUM FORGED [SCREENSHOT]: goes through the console in a browser: looks at every
// page with axe, narrow and wide, light and dark; brings the dead letters of forty users right by keyboard; has a forged request
// explained; and tries, from a stranger's page, to act through it. The last line is JSON: what was seen. Ends with 1 and a
// sentence at the first thing that is not so.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [packages, address, stranger, executablePath, forged, screenshot] = process.argv.slice(2);
const require = createRequire(`${packages}/package.json`);
const puppeteer = (await import(require.resolve("puppeteer-core"))).default;
const axe = require("axe-core");
const base = new URL(address).origin;
const facts = { accessiblePages: 0 };

function check(is, message) {
  if (!is) throw new Error(message);
}

const browser = await puppeteer.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
let page;
try {
  await withoutToken();
  page = await browser.newPage();
  const complaints = listen();
  await page.goto(address);
  check(page.url() === `${base}/`, `the token stays in the address: ${page.url()}`);
  facts.tokenLeavesTheAddress = true;
  await everyPage();
  await aLetter();
  await strangersPage();
  await bringRight();
  await explained();
  await lab();
  check(complaints.length === 0, `the browser complains: ${complaints}`);
  console.log(JSON.stringify(facts));
} catch (error) {
  const text = await page?.$eval("main", (main) => main.innerText).catch(() => "");
  console.error(`${error.message}\nat ${page?.url()}: ${text}`);
  process.exitCode = 1;
} finally {
  await browser.close();
}

function listen() {
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(message.text());
  });
  return complaints;
}

async function withoutToken() {
  const context = await browser.createBrowserContext();
  const other = await context.newPage();
  const answer = await other.goto(`${base}/dead-letters`);
  check(answer.status() === 403, `without the token: ${answer.status()}`);
  await context.close();
  facts.withoutToken = 403;
}

async function everyPage() {
  await until("the timeline", () => page.$$eval("#timeline li", (items) => items.length > 0));
  facts.timeline = true;
  const letter = await firstLetter();
  for (const path of ["/", "/dead-letters", letter, "/users", "/second", "/inspector", "/lab"]) {
    for (const scheme of ["light", "dark"]) {
      for (const width of [320, 1200]) {
        await page.setViewport({ width, height: 800 });
        await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
        await page.goto(`${base}${path}`);
        await accessible(`${path}, ${scheme}, ${width} px`, width);
      }
    }
  }
  await page.setViewport({ width: 1200, height: 800 });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "light" }]);
  if (screenshot) {
    await page.goto(`${base}/dead-letters`);
    await page.screenshot({ path: screenshot });
  }
}

// What the page of one letter says; and what it proposes waits for a second person.
async function aLetter() {
  const path = await firstLetter();
  await page.goto(`${base}${path}`);
  const said = await page.$eval("main", (main) => main.innerText);
  check(/means\s+Cognito refused to confirm the user/.test(said) && /applied, confirms/.test(said), said);
  await page.focus("#username");
  await page.keyboard.type("user7");
  await page.focus("#correct-because");
  await page.keyboard.type("T-2");
  await press("form[action='/letters/correct'] button");
  const waits = await page.$eval("main", (main) => main.innerText);
  check(/correction-\d+\.json/.test(waits) && /is about user7/.test(waits), waits);
  await press("form[action='/second/approve'] button");
  const refused = await page.$eval("main", (main) => main.innerText);
  check(/proposed it; another operator must approve it/.test(refused), refused);
  facts.proposed = true;
}

async function firstLetter() {
  await page.goto(`${base}/dead-letters`);
  return page.$eval("td a", (link) => link.getAttribute("href"));
}

async function accessible(where, width) {
  const found = await page.evaluate(() => ({
    headings: document.querySelectorAll("h1").length,
    width: document.documentElement.scrollWidth,
    lang: document.documentElement.lang,
  }));
  check(found.headings === 1 && found.lang === "en", `${where}: ${JSON.stringify(found)}`);
  check(found.width <= width, `${where}: ${found.width} px wide`);
  // What the page may run is its own script alone; axe comes by the debugger.
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => window.axe.run(document));
  const told = violations.map((violation) => `${violation.id} (${violation.nodes.map((node) => node.target).join(" ")})`);
  check(!told.length, `${where}: ${told.join(", ")}`);
  facts.accessiblePages += 1;
}

async function letters() {
  const page = await browser.newPage();
  await page.goto(`${base}/dead-letters`);
  const count = await page.$$eval("input[name=id]", (boxes) => boxes.length);
  await page.close();
  return count;
}

// A page of another site posts a form to the console, and asks it by script.
async function strangersPage() {
  const before = await letters();
  const other = await browser.newPage();
  const answered = other.waitForResponse((response) => response.url().startsWith(base) && response.request().method() === "POST");
  await other.goto(`${stranger}/?console=${encodeURIComponent(base)}`);
  facts.strangersForm = (await answered).status();
  check(facts.strangersForm === 403, `a stranger's form was answered with ${facts.strangersForm}`);
  await other.goto(`${stranger}/read?console=${encodeURIComponent(base)}`);
  await until("the stranger's script", () => other.$eval("#read", (read) => read.textContent !== ""), other);
  facts.strangersScript = await other.$eval("#read", (read) => read.textContent);
  check(facts.strangersScript === "refused", `a stranger's script read ${facts.strangersScript}`);
  await other.close();
  check((await letters()) === before, "a stranger's page changed something");
}

// By keyboard: choose all, a ticket, send back, yes; and each message's outcome.
async function bringRight() {
  await page.goto(`${base}/dead-letters/confirm_refused`);
  const count = await page.$$eval("input[name=id]", (boxes) => boxes.length);
  check(count === 40, `${count} dead letters`);
  await page.focus("#select-all");
  await page.keyboard.press("Space");
  await page.focus("#because");
  await page.keyboard.type("T-1");
  await press("button[value=send]");
  const asked = await page.$eval("main", (main) => main.innerText);
  check(/Are you sure/.test(asked) && /applied, confirms\s+is sent\s+40/.test(asked), `it asks: ${asked}`);
  check((await letters()) === 41, "nothing is done before it was said yes to");
  await press("form button");
  check(/\/runs\/1$/.test(page.url()), page.url());
  await accessible("a run", 1200);
  // Other pages answer while it is under way, and say that it is.
  const other = await browser.newPage();
  await other.goto(`${base}/`, { timeout: 5000 });
  check(/run 1 is under way/.test(await other.$eval("main", (main) => main.innerText)), "it is not said that a run is under way");
  await other.close();
  await until("the end of the run", () => page.$("[data-over]"), page, 120_000);
  facts.outcomes = await page.$$eval("[data-over] tbody tr td:last-child", (cells) => cells.map((cell) => cell.innerText));
  check(facts.outcomes.length === 40, `${facts.outcomes.length} outcomes`);
  check(facts.outcomes.every((outcome) => outcome === "applied as forecast"), facts.outcomes.join());
  check((await letters()) === 1, "the others stay where they are");
  facts.outcomes = facts.outcomes.length;
}

async function explained() {
  await page.goto(`${base}/inspector`);
  await page.$eval("#request", (field, text) => { field.value = text; }, readFileSync(forged, "utf8"));
  await press("form button");
  facts.explained = await page.$eval("[role=status]", (status) => status.innerText);
  check(/Refused: no key on the ring gives this signature/.test(facts.explained), facts.explained);
}

async function lab() {
  await page.goto(`${base}/lab`);
  await page.focus("#new-user");
  await page.keyboard.type("grace");
  await press("button[value=sign-up]");
  await page.focus("#user");
  await page.keyboard.type("grace");
  await press("button[value=send]");
  const told = await page.$eval("[role=status]", (status) => status.innerText);
  check(/"202":1/.test(told), told);
  await page.goto(`${base}/users`);
  await page.focus("#username");
  await page.keyboard.type("grace");
  await press("form button");
  await until("the user's history", () => page.$$eval("tbody tr", (rows) => rows.length > 0));
  check(!page.url().includes("grace"), `a name stands in the address: ${page.url()}`);
  facts.history = true;
}

async function press(selector) {
  await Promise.all([page.waitForNavigation(), page.focus(selector).then(() => page.keyboard.press("Enter"))]);
}

async function until(what, is, where = page, patience = 30_000) {
  const end = Date.now() + patience;
  while (Date.now() < end) {
    if (await is()) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`${what} does not come (${where.url()})`);
}
