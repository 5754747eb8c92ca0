// node drive.mjs PAGE FAKE_1KOSMOS CHROMIUM: goes through the page in a browser, by keyboard and on a narrow screen, then
// tries what a tampered client would. At every step the page's accessibility is looked at. The last line is JSON: what was
// seen. Ends with 1 and a sentence at the first thing that is not so.
import { randomBytes } from "node:crypto";
import { createRequire } from "node:module";
import axe from "axe-core";
import puppeteer from "puppeteer-core";

const [pageUrl, fakeUrl, executablePath] = process.argv.slice(2);
if (!executablePath) {
  console.error("usage: node drive.mjs PAGE FAKE_1KOSMOS CHROMIUM");
  process.exit(2);
}

const PATIENCE = 60_000; // the callback goes through a queue
const username = `web-${randomBytes(6).toString("hex")}`;
const password = `Correct-horse-9-${randomBytes(6).toString("hex")}`;
const email = `${username}@example.com`;
const facts = { username, axe: createRequire(import.meta.url)("axe-core/package.json").version };

function fail(message) {
  throw new Error(message);
}

function check(is, message) {
  if (!is) fail(message);
}

const browser = await puppeteer.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
let page;
try {
  page = await browser.newPage();
  await page.setViewport({ width: 320, height: 640 });
  const seen = listen(page);
  await signUp();
  await prove();
  await signIn();
  await stepUp();
  await stepUpBySomebodyElse();
  await tamper();
  await keptSecret(seen);
  console.log(JSON.stringify(facts));
} catch (error) {
  console.error(`${error.message}\nat ${page?.url()}: ${await page?.$eval("main", (main) => main.innerText).catch(() => "")}`);
  process.exitCode = 1;
} finally {
  await browser.close();
}

// ── The way through ──────────────────────────────────────────────────────────────────────────────────────────────────

async function signUp() {
  await page.goto(pageUrl);
  await arrived("sign-up");
  await fill("#sign-up-username", username);
  await fill("#sign-up-email", email);
  await fill("#sign-up-password", password);
  const lost = await loseTheAnswerOf("SignUp");
  await page.keyboard.press("Enter");
  await arrived("proof");
  check(lost(), "the answer of the sign-up was not lost");
  facts.signedUp = true;
}

async function prove() {
  const link = () => page.$eval("#session-link", (link) => (link.hidden ? null : link.href));
  const first = await until("a link to 1Kosmos", link);
  facts.verifier = await page.evaluate(() => JSON.parse(localStorage.getItem("sample.sign-up")).verifier);
  check(/^[\w-]{43}$/.test(facts.verifier), "the verifier is not 32 bytes in base64url");

  await page.reload();
  await arrived("proof");
  check((await until("the link after a reload", link)) === first, "a reload opened another session");
  facts.reloadGoesOn = true;

  await unprovenIsNotLetIn();
  await decide({ session: new URL(first).pathname.split("/").at(-1), as: "abandoned" });
  await until("a way to try again", () => page.$eval("#try-again", (button) => !button.hidden));
  await accessible("proof, abandoned");
  await press("#try-again");
  check((await until("a new link", link)) !== first, "trying again led to the same session");
  facts.triedAgain = true;

  await answerAt("#session-link", "Approve");
  await arrived("sign-in");
  check((await status()).includes("confirmed"), "the page does not say that the proof is confirmed");
  facts.confirmed = true;
}

/** Cognito does what it is asked, and the connection breaks before it has answered: once. */
async function loseTheAnswerOf(operation) {
  let lost = false;
  const intercept = async (request) => {
    const headers = request.headers();
    if (lost || request.method() !== "POST" || !headers["x-amz-target"]?.endsWith(`.${operation}`)) return request.continue();
    lost = true;
    const answer = await fetch(request.url(), { method: "POST", headers, body: request.postData() });
    check(answer.ok, `${operation}: ${answer.status}`);
    return request.abort("connectionreset");
  };
  await page.setRequestInterception(true);
  page.on("request", intercept);
  return () => lost;
}

/** Who has a password and no proof, in another browser; and who would like to have the name. */
async function unprovenIsNotLetIn() {
  const another = await browser.createBrowserContext();
  const tab = await another.newPage();
  await tab.goto(pageUrl);
  await tab.waitForSelector("#sign-up:not([hidden])");
  await tab.type("#sign-up-username", username);
  await tab.type("#sign-up-email", `else-${email}`);
  await tab.type("#sign-up-password", password);
  await tab.keyboard.press("Enter");
  const told = () => tab.$eval("#status", (line) => line.textContent);
  await until("a word that the name is taken", async () => (await told()).includes("taken"));
  await tab.click("#sign-up [data-go=sign-in]");
  await tab.type("#sign-in-username", username);
  await tab.type("#sign-in-password", password);
  await tab.keyboard.press("Enter");
  await until("a word that the proof is missing", async () => (await told()).includes("has not confirmed who you are"));
  await another.close();
  await page.bringToFront();
  facts.unprovenIsNotLetIn = true;
}

async function signIn() {
  await fill("#sign-in-password", `${password}-wrong`);
  await page.keyboard.press("Enter");
  await until("a word about the wrong password", async () => (await status()).includes("do not fit"));
  await page.$eval("#sign-in-password", (field) => (field.value = ""));
  await fill("#sign-in-password", password);
  await page.keyboard.press("Enter");
  await arrived("home");
  facts.signedIn = true;
  facts.ial = await page.$eval("#home-ial", (level) => level.textContent);
  check(facts.ial === "2", `the token says level ${facts.ial}`);
  await page.reload();
  await arrived("home");
}

async function stepUp() {
  await beginStepUp();
  const link = () => page.$eval("#challenge-link", (link) => link.href);
  const before = await link();
  await press("#have-done-it");
  await until("the words Not yet", async () => (await status()).startsWith("Not yet"));
  check((await link()) === before, "a pending answer led to another challenge");
  await accessible("challenge, pending");
  facts.pendingIsNotYet = true;

  await answerAt("#challenge-link", "It is me");
  await press("#have-done-it");
  await arrived("done");
  const claims = (id) => page.$$eval(`#${id} dt`, (terms) => terms.map((term) => [term.innerText, term.nextSibling.innerText]));
  const [id, access] = [Object.fromEntries(await claims("id-token")), Object.fromEntries(await claims("access-token"))];
  const { stepUpClientId } = await config();
  check(id.aud === stepUpClientId && access.client_id === stepUpClientId, "the tokens are not the step-up client's");
  check(access.username === username, "the tokens are somebody else's");
  facts.steppedUp = true;
  facts.idClaims = id;
  facts.accessClaims = access;
  await press("#done button");
  await arrived("home");
}

async function stepUpBySomebodyElse() {
  await beginStepUp();
  let tries = 0;
  while (await page.$eval("#challenge", (section) => !section.hidden)) {
    check((tries += 1) <= 3, "there are more than three tries");
    const state = () => page.$eval("#challenge", (section) => `${section.hidden} ${section.querySelector("a").href}`);
    const before = await state();
    await answerAt("#challenge-link", "It is somebody else");
    await press("#have-done-it");
    await until("a new challenge or the end", async () => (await state()) !== before);
  }
  await arrived("step-up");
  facts.somebodyElse = await status();
  check(/^(Locked|Not confirmed):.*Nothing was sent/.test(facts.somebodyElse), `the page says: ${facts.somebodyElse}`);
  facts.somebodyElseTries = tries;
  await press("#step-up [data-go=home]");
  await arrived("home");
}

// ── A tampered client: calls that the page does not make ─────────────────────────────────────────────────────────────

async function tamper() {
  const { userPoolClientId, stepUpClientId, sessionUrl } = await config();
  const auth = (ClientId, AuthFlow, AuthParameters) => ["InitiateAuth", { ClientId, AuthFlow, AuthParameters }];
  const attributes = (Name) => [{ Name: "email", Value: email }, { Name, Value: "3" }];
  const signUpWith = (name) => {
    const Username = `web-${randomBytes(6).toString("hex")}`;
    return ["SignUp", { ClientId: userPoolClientId, Username, Password: password, UserAttributes: attributes(name) }];
  };
  const SRP_A = randomBytes(256).toString("hex");
  const calls = {
    signUpWithIal: signUpWith("custom:ial"),
    signUpWithSubject: signUpWith("custom:blockid_sub"),
    signUpWithStatus: signUpWith("custom:idv_status"),
    stepUpWithoutSrp: auth(stepUpClientId, "CUSTOM_AUTH", { USERNAME: username }),
    stepUpByPassword: auth(stepUpClientId, "USER_PASSWORD_AUTH", { USERNAME: username, PASSWORD: password }),
    stepUpBySrpAlone: auth(stepUpClientId, "USER_SRP_AUTH", { USERNAME: username, SRP_A }),
    ordinaryByPassword: auth(userPoolClientId, "USER_PASSWORD_AUTH", { USERNAME: username, PASSWORD: password }),
    ordinaryByChallenge: auth(userPoolClientId, "CUSTOM_AUTH", { USERNAME: username, SRP_A, CHALLENGE_NAME: "SRP_A" }),
  };
  facts.refused = {};
  for (const [name, [operation, input]] of Object.entries(calls)) {
    const answer = await cognito(operation, input);
    check(answer.status >= 400, `a tampered client is not refused (${name}): ${JSON.stringify(answer.body)}`);
    facts.refused[name] = answer.body.__type;
  }

  // The round of the password is skipped: its session is taken for the challenge's.
  const begun = await cognito(...auth(stepUpClientId, "CUSTOM_AUTH", { USERNAME: username, SRP_A, CHALLENGE_NAME: "SRP_A" }));
  check(begun.body.ChallengeName === "PASSWORD_VERIFIER", `the password is not asked for: ${JSON.stringify(begun.body)}`);
  const ChallengeResponses = { USERNAME: username, ANSWER: "ch_1" };
  const input = { ClientId: stepUpClientId, ChallengeName: "CUSTOM_CHALLENGE", Session: begun.body.Session, ChallengeResponses };
  const skipped = await cognito("RespondToAuthChallenge", input);
  check(skipped.status >= 400, `the password can be skipped: ${JSON.stringify(skipped.body)}`);
  facts.refused.stepUpWithoutPassword = skipped.body.__type;

  const verifier = randomBytes(32).toString("base64url");
  const wrong = await post(sessionUrl, { username, verifier }, { "content-type": "application/json" });
  const unknown = await post(sessionUrl, { username: `${username}-x`, verifier }, { "content-type": "application/json" });
  check(wrong.status === 404 && unknown.status === 404, `a wrong verifier: ${wrong.status}, an unknown user: ${unknown.status}`);
  check(JSON.stringify(wrong.body) === JSON.stringify(unknown.body), "a wrong verifier is told from an unknown user");
  facts.refused.wrongVerifier = wrong.status;
}

async function cognito(operation, input) {
  const { region, userPoolEndpoint } = await config();
  const target = `AWSCognitoIdentityProviderService.${operation}`;
  const headers = { "content-type": "application/x-amz-json-1.1", "x-amz-target": target };
  return post(userPoolEndpoint ?? `https://cognito-idp.${region}.amazonaws.com/`, input, headers);
}

function post(url, value, headers) {
  const send = async (url, body, headers) => {
    const answer = await fetch(url, { method: "POST", headers, body });
    return { status: answer.status, body: await answer.json().catch(() => ({})) };
  };
  return page.evaluate(send, url, JSON.stringify(value), headers);
}

// ── What must be so all the while ────────────────────────────────────────────────────────────────────────────────────

/** Everything that is said on the console, and every address that is asked for. */
function listen(page) {
  const seen = [];
  page.on("console", (message) => seen.push(message.text()));
  page.on("pageerror", (error) => seen.push(`page error: ${error.message}`));
  page.on("request", (request) => seen.push(request.url()));
  return seen;
}

async function keptSecret(seen) {
  const [local, tab] = await page.evaluate(() => [{ ...localStorage }, { ...sessionStorage }].map((kept) => JSON.stringify(kept)));
  check(!tab.includes(password), "the password is kept");
  const name = JSON.stringify({ "sample.sign-up": JSON.stringify({ username }) });
  check(local === name, `more than the user's name outlives the tab: ${local.length} characters`);
  const told = seen.find((text) => text.includes(password) || text.includes(facts.verifier));
  check(!told, "the password or the verifier is in an address or on the console");
  const broken = seen.find((text) => text.startsWith("page error") || text.includes("Content Security Policy"));
  check(!broken, `the console says: ${broken}`);
  delete facts.verifier;
  facts.secretsKept = true;
}

/** A step is shown, its heading has the focus, and whoever cannot see or point can go on. */
async function arrived(step) {
  await until(`the step ${step}`, () => page.$eval(`#${step}`, (section) => !section.hidden));
  const shown = await page.$$eval("main > section", (sections) => sections.filter((section) => !section.hidden).length);
  check(shown === 1, `${step}: ${shown} steps are shown`);
  const focus = await page.evaluate(() => document.activeElement.id);
  check(focus === `${step}-heading`, `${step}: the focus is on ${focus || "nothing"}, not on the heading`);
  await accessible(step);
}

async function accessible(where) {
  const found = await page.evaluate(() => ({
    headings: document.querySelectorAll("h1").length,
    unlabelled: [...document.querySelectorAll("input")].filter((input) => !input.labels.length).map((input) => input.id),
    width: document.documentElement.scrollWidth,
    lang: document.documentElement.lang,
    live: document.querySelector("#status").ariaLive,
  }));
  check(found.headings === 1, `${where}: ${found.headings} headings of the first level`);
  check(found.unlabelled.length === 0, `${where}: without a label: ${found.unlabelled}`);
  check(found.width <= 320, `${where}: ${found.width} px wide on a screen of 320`);
  check(found.lang === "en" && found.live === "polite", `${where}: language ${found.lang}, status ${found.live}`);
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => window.axe.run(document));
  const told = violations.map((violation) => `${violation.id} (${violation.nodes.map((node) => node.target).join(" ")})`);
  check(!told.length, `${where}: ${told.join(", ")}`);
  facts.accessibleSteps = (facts.accessibleSteps ?? 0) + 1;
}

// ── Hands ────────────────────────────────────────────────────────────────────────────────────────────────────────────

async function beginStepUp() {
  await press("#home [data-go=step-up]");
  await arrived("step-up");
  await fill("#step-up-password", password);
  await page.keyboard.press("Enter");
  await arrived("challenge");
}

/** By the keyboard alone. */
async function focus(selector) {
  for (let i = 0; i < 30; i += 1) {
    if (await page.$eval(selector, (element) => element === document.activeElement)) return;
    await page.keyboard.press("Tab");
  }
  fail(`the Tab key does not lead to ${selector}`);
}

async function fill(selector, text) {
  await focus(selector);
  await page.keyboard.type(text);
}

async function press(selector) {
  await focus(selector);
  await page.keyboard.press("Enter");
}

/** Follows a link to 1Kosmos, which opens a tab, and presses a button there. */
async function answerAt(selector, label) {
  const url = await page.$eval(selector, (link) => link.href);
  check(url.startsWith(fakeUrl), `${selector} leads to ${url}`);
  await press(selector);
  const target = await browser.waitForTarget((target) => target.url() === url, { timeout: PATIENCE });
  const tab = await target.page();
  await tab.waitForSelector(`::-p-aria([name="${label}"][role="button"])`);
  await Promise.all([tab.waitForNavigation(), tab.click(`::-p-aria([name="${label}"][role="button"])`)]);
  await tab.close();
  await page.bringToFront();
}

async function decide(what) {
  const answer = await fetch(new URL("/_decide", fakeUrl), { method: "POST", body: JSON.stringify(what) });
  check(answer.ok, `1Kosmos does not take ${JSON.stringify(what)}: ${answer.status}`);
}

function config() {
  return page.evaluate(async () => (await fetch("config.json")).json());
}

function status() {
  return page.$eval("#status", (line) => line.textContent);
}

/** Asks until there is an answer. */
async function until(what, ask) {
  for (const end = Date.now() + PATIENCE; Date.now() < end; ) {
    const answer = await ask();
    if (answer) return answer;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  fail(`${what}: not within ${PATIENCE / 1000} s`);
}
