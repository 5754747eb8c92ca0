//! What `idvctl doctor` says of an installation: sound, and with each fault that is known to be made.

use std::collections::BTreeMap;
use std::time::Duration;

use idv_callback::assurance::{ASSURANCE_ATTRIBUTES, CLAIM_ATTRIBUTE};
use idv_callback::key_ring::KeyRing;
use idv_callback::ports::KeyStoreError;
use idv_callback::timestamp::Timestamp;
use idvctl::preflight::{
    AppClient, Function, Installation, Mapping, OwnChallenge, Pool, Queue, SchemaAttribute, TRIGGERS,
    Verdict, examine,
};

use crate::support::world::{RING, ring};

fn now() -> Timestamp {
    Timestamp::parse("2026-11-22T10:00:00Z").unwrap()
}

fn function(name: &str, seconds: u64, variables: &[(&str, &str)]) -> Function {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Function {
        asked: format!("{name}:live"),
        log_group: "/aws/lambda/idv".to_owned(),
        timeout: Duration::from_secs(seconds),
        variables: variables.collect::<BTreeMap<_, _>>(),
    }
}

fn sound() -> Installation {
    let queue = Queue {
        arn: "arn:queue".to_owned(),
        url: "https://queue".to_owned(),
        fifo: true,
        visibility: Duration::from_secs(360),
        retention: Duration::from_secs(14 * 86_400),
        encrypted: true,
        by_group: true,
        redrive: Some(("arn:dead".to_owned(), 50)),
    };
    let dead_letters =
        Queue { arn: "arn:dead".to_owned(), url: "https://dead".to_owned(), redrive: None, ..queue.clone() };
    let attribute = |name: &str| SchemaAttribute {
        name: name.to_owned(),
        string: true,
        mutable: true,
        maximum_length: Some(2048),
    };
    let client = |id: &str, name: &str, flow: &str| AppClient {
        id: id.to_owned(),
        name: name.to_owned(),
        writable: Some(vec!["email".to_owned()]),
        flows: vec![flow.to_owned()],
        by_pages: false,
        scopes: Vec::new(),
    };
    let claim = SchemaAttribute { mutable: false, ..attribute(CLAIM_ATTRIBUTE) };
    let pool = Pool {
        id: "us-east-1_Pool".to_owned(),
        schema: ASSURANCE_ATTRIBUTES.iter().map(|name| attribute(name)).chain([claim]).collect(),
        triggers: TRIGGERS.into_iter().map(|name| (name, "arn:triggers".to_owned())).collect(),
        self_sign_up: true,
        clients: vec![
            client("c1", "web", "ALLOW_USER_SRP_AUTH"),
            client("c2", "step-up", "ALLOW_CUSTOM_AUTH"),
        ],
        ..Pool::default()
    };
    let both = [("IDV_QUEUE_URL", "https://queue"), ("IDV_KEY_RING_SECRET_ID", "ring")];
    let consumer = [
        both[0],
        both[1],
        ("IDV_DEAD_LETTER_QUEUE_URL", "https://dead"),
        ("IDV_USER_POOL_IDS", "us-east-1_Other,us-east-1_Pool"),
        ("IDV_COGNITO_RPS", "10"),
    ];
    let mapping = Mapping {
        function_arn: "arn:aws:lambda:us-east-1:1:function:consumer:live".to_owned(),
        enabled: true,
        partial_failures: true,
        maximum_concurrency: Some(2),
    };
    Installation {
        queue: Some(Ok(queue)),
        dead_letters: Some(Ok(dead_letters)),
        pool: Some(Ok(pool)),
        callback: Some(Ok(function("callback", 10, &both))),
        consumer: Some(Ok(function("consumer", 60, &consumer))),
        mappings: Some(Ok(vec![mapping])),
        key_ring: Some(("ring".to_owned(), Ok(ring()))),
        clocks: Some((now(), now())),
    }
}

/// What is not fine, as `sort check: found`.
fn complaints(installation: &Installation) -> Vec<String> {
    let findings = examine(installation, now()).into_iter();
    let complaint = |(check, verdict): (&str, Verdict)| match verdict {
        Verdict::Fine(_) => None,
        Verdict::Doubtful { found, remedy } => Some((format!("doubtful {check}: {found}"), remedy)),
        Verdict::Wrong { found, remedy } => Some((format!("wrong {check}: {found}"), remedy)),
        Verdict::Unknown { found, remedy } => Some((format!("unknown {check}: {found}"), remedy)),
    };
    let complaints = findings.filter_map(|finding| complaint((finding.check, finding.verdict)));
    complaints
        .map(|(complaint, remedy)| {
            assert!(!remedy.is_empty(), "{complaint}: what is to be done?");
            complaint
        })
        .collect()
}

fn queue(installation: &mut Installation) -> &mut Queue {
    installation.queue.as_mut().unwrap().as_mut().unwrap()
}

fn pool(installation: &mut Installation) -> &mut Pool {
    installation.pool.as_mut().unwrap().as_mut().unwrap()
}

fn consumer(installation: &mut Installation) -> &mut Function {
    installation.consumer.as_mut().unwrap().as_mut().unwrap()
}

fn mapping(installation: &mut Installation) -> &mut Mapping {
    &mut installation.mappings.as_mut().unwrap().as_mut().unwrap()[0]
}

fn set_ring(installation: &mut Installation, json: &str) {
    let ring = KeyRing::parse(json.as_bytes()).map_err(KeyStoreError::Malformed);
    installation.key_ring = Some(("ring".to_owned(), ring));
}

fn no_ring(installation: &mut Installation, code: &str) {
    let error = KeyStoreError::Misconfigured(idv_callback::ports::Fault::new("GetSecretValue", code));
    installation.key_ring = Some(("ring".to_owned(), Err(error)));
}

/// Only a secret that never had a ring is to get a new one: any other advice would cost what the old one sealed.
#[test]
fn nobody_is_told_to_replace_a_ring_that_is_there() {
    for spoil in
        [|i: &mut Installation| set_ring(i, "{}"), |i: &mut Installation| no_ring(i, "AccessDeniedException")]
    {
        let mut installation = sound();
        spoil(&mut installation);
        for finding in examine(&installation, now()) {
            if let Verdict::Wrong { remedy, .. } | Verdict::Unknown { remedy, .. } = finding.verdict {
                assert!(!remedy.contains("new") && !remedy.contains("put a ring"), "{remedy}");
            }
        }
    }
}

type Fault = fn(&mut Installation);

#[test]
fn each_fault_is_found_and_nothing_else() {
    assert_eq!(complaints(&sound()), Vec::<String>::new());
    let faults: [(Fault, &str); 46] = [
        (|i| queue(i).fifo = false, "wrong queue: is not a FIFO queue"),
        (|i| queue(i).encrypted = false, "wrong queue: is not encrypted"),
        (|i| queue(i).by_group = false, "doubtful queue: takes 300 calls"),
        (|i| queue(i).visibility = Duration::from_secs(359), "wrong queue: visibility: 359 s"),
        (
            |i| queue(i).retention = Duration::from_secs(86_400),
            "doubtful queue: retention: messages are kept for 1 days",
        ),
        (|i| queue(i).redrive = None, "wrong queue: dead letters: has no"),
        (
            |i| queue(i).redrive = Some(("arn:dead".to_owned(), 49)),
            "wrong queue: dead letters: after 49 receives",
        ),
        (
            |i| queue(i).redrive = Some(("arn:other".to_owned(), 50)),
            "wrong queue: dead letters: dead letters of the queue itself go to arn:other",
        ),
        (
            |i| i.queue = Some(Err("GetQueueAttributes: QueueDoesNotExist".to_owned())),
            "unknown queue: GetQueueAttributes",
        ),
        (
            |i| i.dead_letters.as_mut().unwrap().as_mut().unwrap().retention /= 2,
            "doubtful dead letters: retention",
        ),
        (
            |i| pool(i).schema.retain(|a| a.name != "custom:ial"),
            "wrong user pool: schema: custom:ial is missing",
        ),
        (|i| pool(i).schema[0].mutable = false, "wrong user pool: schema: custom:blockid_sub is immutable"),
        (|i| pool(i).schema[1].string = false, "wrong user pool: schema: custom:ial is not a String"),
        (
            |i| pool(i).schema[9].maximum_length = Some(255),
            "doubtful user pool: schema: custom:idv_receipt holds less than 348",
        ),
        (|i| pool(i).clients[0].writable = None, "wrong app clients: web (c1) does not say"),
        (
            |i| {
                pool(i).clients[0].writable =
                    Some(vec!["email".to_owned(), "custom:aal".to_owned(), "custom:ial".to_owned()]);
            },
            "wrong app clients: anybody who signs in through web (c1) can write custom:aal, custom:ial",
        ),
        (
            |i| pool(i).clients[1].flows.push("ALLOW_USER_SRP_AUTH".to_owned()),
            "wrong app clients: step-up: through step-up (c2) people get tokens by ALLOW_USER_SRP_AUTH",
        ),
        (
            |i| pool(i).clients[1].by_pages = true,
            "wrong app clients: step-up: through step-up (c2) people get tokens by the sign-in pages",
        ),
        (
            |i| {
                let flows = ["CUSTOM_AUTH_FLOW_ONLY", "ALLOW_USER_AUTH"];
                pool(i).clients[1].flows = flows.map(str::to_owned).to_vec();
            },
            "wrong app clients: step-up: through step-up (c2) people get tokens by ALLOW_USER_AUTH",
        ),
        (
            |i| pool(i).schema.last_mut().unwrap().mutable = true,
            "wrong user pool: claim: custom:idv_claim is mutable",
        ),
        (
            |i| pool(i).schema.last_mut().unwrap().string = false,
            "wrong user pool: claim: custom:idv_claim is not a String",
        ),
        (|i| drop(pool(i).schema.pop()), "wrong user pool: claim: custom:idv_claim is missing"),
        (
            |i| drop(pool(i).triggers.remove("VerifyAuthChallengeResponse")),
            "wrong user pool: triggers: without VerifyAuthChallengeResponse",
        ),
        (
            |i| drop(pool(i).triggers.insert("PreSignUp", "arn:other".to_owned())),
            "doubtful user pool: triggers: sign-up and step-up call different functions",
        ),
        (
            |i| {
                pool(i).clients[0].writable = Some(vec!["custom:fed_ial".to_owned()]);
                pool(i).clients[0].scopes = vec!["aws.cognito.signin.user.admin".to_owned()];
            },
            "wrong app clients: federation: who signs in through web (c1)",
        ),
        (
            |i| pool(i).verified_by_code = vec!["email".to_owned()],
            "wrong user pool: sign-up: a code is sent to verify email",
        ),
        (|i| pool(i).self_sign_up = false, "doubtful user pool: sign-up: only administrators"),
        (|i| pool(i).case_sensitive = true, "doubtful user pool: sign-up: user names differ"),
        (
            |i| pool(i).own_challenges.push(OwnChallenge::Mfa),
            "wrong user pool: step-up: people can have a second factor of Cognito's",
        ),
        (
            |i| pool(i).own_challenges.push(OwnChallenge::Device),
            "doubtful user pool: step-up: Cognito remembers devices",
        ),
        (
            |i| i.callback.as_mut().unwrap().as_mut().unwrap().timeout = Duration::from_secs(3),
            "wrong callback function: its time limit is 3 s",
        ),
        (
            |i| consumer(i).asked = "consumer".to_owned(),
            "doubtful consumer function: was looked at as $LATEST",
        ),
        (
            |i| drop(consumer(i).variables.remove("IDV_USER_POOL_IDS")),
            "wrong consumer function: IDV_USER_POOL_IDS is \"\"",
        ),
        (
            |i| drop(consumer(i).variables.insert("IDV_QUEUE_URL".to_owned(), "https://x".to_owned())),
            "wrong consumer function: IDV_QUEUE_URL is \"https://x\"",
        ),
        (|i| mapping(i).enabled = false, "wrong event source mapping: is switched off"),
        (|i| mapping(i).partial_failures = false, "wrong event source mapping: takes no partial failures"),
        (|i| mapping(i).maximum_concurrency = None, "wrong event source mapping: has no bound"),
        (
            |i| mapping(i).maximum_concurrency = Some(3),
            "doubtful event source mapping: 3 consumers of 10 writes a second are 30",
        ),
        (
            |i| mapping(i).function_arn = "arn:aws:lambda:us-east-1:1:function:consumer".to_owned(),
            "wrong event source mapping: calls arn:aws",
        ),
        (|i| i.mappings = Some(Ok(Vec::new())), "wrong event source mapping: the queue has none"),
        (|i| set_ring(i, "{}"), "wrong key ring: webhook: "),
        (|i| no_ring(i, "empty_secret"), "wrong key ring: GetSecretValue: empty_secret"),
        (
            |i| no_ring(i, "ResourceNotFoundException"),
            "wrong key ring: GetSecretValue: ResourceNotFoundException",
        ),
        (|i| no_ring(i, "AccessDeniedException"), "unknown key ring: GetSecretValue: AccessDeniedException"),
        (
            |i| {
                set_ring(
                    i,
                    &RING
                        .replace(r#""id": "wh-1","#, r#""id": "wh-1", "not_after": "2026-11-22T10:00:00Z","#),
                );
            },
            "wrong key ring: no webhook key is live",
        ),
        (
            |i| i.clocks = Some((now(), now().plus(Duration::from_secs(61)))),
            "wrong clock: this machine and AWS are 61 s apart",
        ),
    ];
    for (fault, expected) in faults {
        let mut installation = sound();
        fault(&mut installation);
        let found = complaints(&installation);
        assert!(found.iter().any(|complaint| complaint.starts_with(expected)), "{expected}: {found:?}");
        // Another name for the function makes the mapping call another one.
        let most = if expected.contains("$LATEST") { 2 } else { 1 };
        assert!(found.len() <= most, "{expected}: {found:?}");
    }
    // Where nobody steps up, Cognito's own second factor leads past nothing; and callbacks alone need no trigger and no claim.
    let mut installation = sound();
    pool(&mut installation).own_challenges.push(OwnChallenge::Mfa);
    pool(&mut installation).clients.truncate(1);
    pool(&mut installation).triggers.clear();
    pool(&mut installation).schema.pop();
    assert_eq!(complaints(&installation), Vec::<String>::new());
}
