// Sign up, prove who you are, sign in, and confirm a payment by one's face: the browser's part.

import { createAmplifyContext } from "aws-amplify";
import { createUserPoolsTokenProvider } from "aws-amplify/adapter-core";
import { confirmSignIn, signIn, signOut, signUp } from "aws-amplify/auth";
import { sessionStorage as tabStorage, sharedInMemoryStorage } from "aws-amplify/utils";

const UNREACHABLE = "We cannot be reached now. Try again in a moment.";

const config = await load("config.json");

async function load(name) {
  try {
    return await (await fetch(name)).json();
  } catch (error) {
    document.getElementById("status").textContent = "This page could not be loaded as a whole. Load it again in a moment.";
    throw error;
  }
}

// Two app clients of one pool. Ordinary tokens live as long as the tab; those of a step-up are kept in memory alone.
const ordinary = client(config.userPoolClientId, tabStorage);
const stepUp = client(config.stepUpClientId, sharedInMemoryStorage);

function client(userPoolClientId, storage) {
  const { userPoolId, userPoolEndpoint } = config;
  const Auth = { Cognito: { userPoolId, userPoolClientId, userPoolEndpoint } };
  return createAmplifyContext({ Auth }, { Auth: { tokenProvider: createUserPoolsTokenProvider(Auth, storage) } });
}

// ── What must not be lost: who is signing up, and the verifier that proves it to the session endpoint. A proof can take days,
// so it outlives the tab; it is forgotten when the person is confirmed ────────────────────────────────────────────────

const KEY = "sample.sign-up";
const remembered = JSON.parse(localStorage.getItem(KEY) ?? "{}");

function remember(changes) {
  Object.assign(remembered, changes);
  localStorage.setItem(KEY, JSON.stringify(remembered));
}

function base64url(bytes) {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function randomToken() {
  return base64url(crypto.getRandomValues(new Uint8Array(32)));
}

/** What the sign-up says of the verifier without telling it, as PKCE's S256 does. */
async function claimOf(verifier) {
  return base64url(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier))));
}

// ── The page: one step at a time, its heading has the focus, one line says what is going on ──────────────────────────

const $ = (id) => document.getElementById(id);
const sections = [...document.querySelectorAll("main > section")];

function say(text) {
  // The same text again would be read out again at every look.
  if ($("status").textContent !== text) $("status").textContent = text;
}

function show(step, message = "") {
  watch += 1;
  for (const section of sections) section.hidden = section.id !== step;
  for (const field of document.querySelectorAll("input[type=password]")) field.value = "";
  const heading = $(`${step}-heading`);
  document.title = `${heading.textContent} – Sample bank`;
  heading.focus();
  say(message);
}

let busy = false;

/** Does what somebody asked for, once, however often they press. */
async function run(action) {
  if (busy) return;
  busy = true;
  document.querySelector("main").setAttribute("aria-busy", "true");
  say("One moment…");
  try {
    await action();
  } catch (error) {
    say(inWords(error));
  } finally {
    busy = false;
    document.querySelector("main").setAttribute("aria-busy", "false");
  }
}

/** Cognito has one name for a wrong password and for too many of them. */
function isLockedOut(error) {
  return error.name === "NotAuthorizedException" && /attempts exceeded/i.test(error.message);
}

function inWords(error) {
  switch (error.name) {
    case "UsernameExistsException":
      return "This user name is taken. Choose another one.";
    case "InvalidPasswordException":
      return "This password does not keep to the rule below its field.";
    case "InvalidParameterException":
      return "One of these values cannot be taken. Look them through.";
    case "NotAuthorizedException":
      return isLockedOut(error)
        ? "Locked: too many wrong passwords. Wait some minutes, then try again."
        : "User name and password do not fit together.";
    case "TooManyRequestsException":
    case "LimitExceededException":
    case "ForbiddenException":
      return "Too many tries. Wait some minutes, then try again.";
    case "UserLambdaValidationException":
    case "UnexpectedLambdaException":
    case "InvalidLambdaResponseException":
      return "This was refused, or 1Kosmos cannot be reached now. Nothing was done. Try again later.";
    default:
      return UNREACHABLE;
  }
}

// ── Sign up ──────────────────────────────────────────────────────────────────────────────────────────────────────────

async function onSignUp({ username, email, password }) {
  const before = { username: undefined, verifier: undefined, ...remembered };
  const again = before.verifier && before.username === username;
  const verifier = again ? before.verifier : randomToken();
  const userAttributes = { email, "custom:idv_claim": await claimOf(verifier) };
  // Kept before Cognito is asked: its answer can be lost, and the claim of the user that is there cannot be changed any more.
  remember({ username, verifier });
  try {
    await signUp(ordinary, { username, password, options: { userAttributes } });
  } catch (error) {
    if (error.name !== "UsernameExistsException") {
      // Cognito's refusals are exceptions by name; anything else may have been done. Whose sign-up waited before waits on.
      if (error.name.endsWith("Exception") && !/^(Internal|ServiceUnavailable)/.test(error.name)) remember(before);
      throw error;
    }
    // By whom is the name taken? By this very page, if the answer to its first try was lost.
    const taken = await askSession(false);
    if (taken.gone) remember(again ? { username: undefined, verifier: undefined } : before);
    if (!taken.status) throw taken.gone ? error : new Error(UNREACHABLE);
  }
  showProof();
}

// ── Prove who you are ────────────────────────────────────────────────────────────────────────────────────────────────

const SHORTEST = 2_000;
const LONGEST = 15_000;
const PROGRESS = {
  waiting: "Waiting for 1Kosmos…",
  in_review: "A person at 1Kosmos looks at your documents. That can take days. You can close this page and sign in later.",
  approved: "1Kosmos has confirmed you. Your account is being opened…",
  declined: "1Kosmos could not confirm who you are, so this account stays closed. Ask our support.",
  expired: "The time for the proof is over. You can try again.",
  abandoned: "The proof was not finished. You can try again.",
  insufficient: "The proof was not enough for an account. You can try again, with another document.",
};
const CAN_TRY_AGAIN = new Set(["expired", "abandoned", "insufficient"]);

let watch = 0;

function showProof() {
  $("session-link").hidden = $("try-again").hidden = true;
  show("proof", PROGRESS.waiting);
  watchProof(false);
}

/** Looks every 2 s, then more and more seldom, and at once when the tab is looked at again; until another step is shown. */
async function watchProof(opening) {
  const mine = (watch += 1);
  let pause = SHORTEST;
  let url = null;
  let opened = false; // also where 1Kosmos tells the person itself, and there is no address
  let over = null; // what the session came to that was there before the one that is opened here
  for (;;) {
    const answer = await askSession(opening);
    if (watch !== mine) return;
    if (answer.gone) return say("We do not know this sign-up. Sign up again, in this browser.");
    if (answer.confirmed) {
      remember({ verifier: undefined });
      return showSignIn("Your identity is confirmed. Sign in now.");
    }
    if (answer.status) {
      opened ||= opening && "session_url" in answer;
      if (opened && opening) over = answer.status;
      const status = CAN_TRY_AGAIN.has(answer.status) && answer.status === over ? "waiting" : answer.status;
      url = status === "waiting" ? (answer.session_url ?? url) : null;
      tellProgress(status, url, CAN_TRY_AGAIN.has(answer.status));
      if (status === "declined") return;
      // The address is asked for at once. A proof that came to nothing is begun again by a press, not by itself.
      const askedBefore = opening;
      opening = status === "waiting" && !opened;
      if (opening && !askedBefore) continue;
    } else {
      say("We cannot be reached now. This page tries again by itself.");
    }
    await sleep(answer.status ? pause : LONGEST);
    if (watch !== mine) return;
    pause = Math.min(pause * 1.25, LONGEST);
  }
}

function tellProgress(status, url, canTryAgain) {
  const link = $("session-link");
  // A link that goes away must not take the focus with it.
  if (!url && document.activeElement === link) $("proof-heading").focus();
  link.hidden = !url;
  if (url) link.href = url;
  $("try-again").hidden = !canTryAgain;
  say(PROGRESS[status] ?? PROGRESS.waiting);
}

async function askSession(open) {
  const { username, verifier } = remembered;
  try {
    const answer = await fetch(config.sessionUrl, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(open ? { username, verifier, open: true } : { username, verifier }),
      cache: "no-store",
      credentials: "omit",
    });
    if (answer.ok) return await answer.json();
    return answer.status === 404 ? { gone: true } : {};
  } catch {
    return {};
  }
}

function sleep(milliseconds) {
  return new Promise((resolve) => {
    const end = () => {
      if (document.hidden) return;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", end);
      resolve();
    };
    const timer = setTimeout(() => {
      document.removeEventListener("visibilitychange", end);
      resolve();
    }, milliseconds);
    document.addEventListener("visibilitychange", end);
  });
}

// ── Sign in ──────────────────────────────────────────────────────────────────────────────────────────────────────────

function showSignIn(message) {
  $("sign-in-username").value = remembered.username ?? "";
  show("sign-in", message);
}

async function onSignIn({ username, password }) {
  const { isSignedIn, nextStep } = await signIn(ordinary, { username, password });
  if (isSignedIn) {
    remember({ username });
    return showHome();
  }
  if (nextStep.signInStep !== "CONFIRM_SIGN_UP") return say("Your account asks for something that this page does not know.");
  if (remembered.verifier && remembered.username === username) return showProof();
  say("1Kosmos has not confirmed who you are yet. Go on in the browser that you signed up with, or ask our support for a new link.");
}

async function showHome() {
  const { tokens } = await ordinary.fetchAuthSession();
  if (!tokens) return showSignIn();
  $("home-username").textContent = tokens.accessToken.payload.username;
  $("home-ial").textContent = tokens.idToken.payload["custom:ial"] ?? "unknown";
  show("home");
}

async function onSignOut() {
  await signOut(ordinary);
  showSignIn("You are signed out.");
}

// ── Send 10,000: the password by SRP, then a challenge that 1Kosmos answers ──────────────────────────────────────────

let clientMetadata;
let challenge;

function showStepUp(message) {
  $("step-up-username").value = $("home-username").textContent;
  show("step-up", message);
}

async function onStepUp({ username, password }) {
  clientMetadata = { reason_code: "high_value_transaction" };
  const options = { authFlowType: "CUSTOM_WITH_SRP", clientMetadata };
  challenge = undefined;
  try {
    await goOn(await signIn(stepUp, { username, password, options }));
  } catch (error) {
    if (error.name !== "NotAuthorizedException" || isLockedOut(error)) throw error;
    say("Not confirmed: the password is wrong, or your proof of identity does not hold any more. Nothing was sent.");
  }
}

async function onHaveDoneIt() {
  try {
    // Each answer is a call of its own: what the functions are to know is sent again.
    await goOn(await confirmSignIn(stepUp, { challengeResponse: challenge.challenge_id, options: { clientMetadata } }));
  } catch (error) {
    if (error.name !== "NotAuthorizedException") throw error;
    const locked = Number(challenge.attempt) >= 3;
    showStepUp(
      locked
        ? "Locked: 1Kosmos did not confirm you in three tries. Nothing was sent. You can begin again with your password."
        : "Not confirmed: the answer was no, or it took too long. Nothing was sent. You can begin again with your password.",
    );
  }
}

async function goOn({ isSignedIn, nextStep }) {
  if (isSignedIn) return send();
  if (nextStep.signInStep !== "CONFIRM_SIGN_IN_WITH_CUSTOM_CHALLENGE") throw new Error(nextStep.signInStep);
  const before = challenge;
  challenge = nextStep.additionalInfo;
  $("challenge-attempt").textContent = challenge.attempt;
  // A challenge that still waits comes without its address: the one that is there goes on to hold.
  if (challenge.challenge_url) $("challenge-link").href = challenge.challenge_url;
  else if (challenge.status !== "pending") $("challenge-link").removeAttribute("href");
  $("challenge-link").hidden = !$("challenge-link").hasAttribute("href");
  if (!before) return show("challenge", "1Kosmos asks you now.");
  say(
    challenge.status === "pending"
      ? "Not yet: 1Kosmos has no answer from you. Answer there first, then press “I have done it” again."
      : "Failed: 1Kosmos did not confirm that it is you. Nothing was sent. It asks you once more; answer the new question.",
  );
}

async function send() {
  const { tokens } = await stepUp.fetchAuthSession();
  // Here an application calls its server with the access token. What a page believes protects nothing: the server checks
  // the signature, issuer, client_id (the step-up client's), the age and the claims, and takes each token once.
  tell("id-token", tokens.idToken.payload);
  tell("access-token", tokens.accessToken.payload);
  await signOut(stepUp); // they have served: revoked and forgotten
  show("done");
}

function tell(id, claims) {
  const rows = Object.entries(claims).map(([name, value]) => {
    const [term, definition] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = name;
    definition.textContent = typeof value === "string" ? value : JSON.stringify(value);
    return [term, definition];
  });
  $(id).replaceChildren(...rows.flat());
}

// ── Who presses what ─────────────────────────────────────────────────────────────────────────────────────────────────

for (const [step, action] of Object.entries({ "sign-up": onSignUp, "sign-in": onSignIn, "step-up": onStepUp })) {
  const form = $(step).querySelector("form");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    run(() => action(Object.fromEntries(new FormData(form))));
  });
}
const steps = { "sign-up": () => show("sign-up"), "sign-in": () => showSignIn(), "step-up": () => showStepUp(), home: showHome };
for (const button of document.querySelectorAll("button[data-go]")) {
  button.addEventListener("click", () => run(async () => steps[button.dataset.go]()));
}
$("try-again").addEventListener("click", () => {
  $("proof-heading").focus();
  say("One moment…");
  watchProof(true);
});
$("have-done-it").addEventListener("click", () => run(onHaveDoneIt));
$("sign-out").addEventListener("click", () => run(onSignOut));

// A reload goes on where it was.
const { tokens, failed } = await ordinary.fetchAuthSession().catch(() => ({ failed: true }));
if (failed) showSignIn(UNREACHABLE);
else if (tokens) await showHome();
else if (remembered.verifier) showProof();
else if (remembered.username) showSignIn();
else show("sign-up");
