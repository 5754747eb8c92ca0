//! `audit codes`: the table of all codes.

use idv_callback::audit::AuditCode;

/// The table of all codes, in Markdown.
pub(crate) fn table() -> String {
    let mut table = "| code | event | meaning |\n|---|---|---|\n".to_owned();
    for code in AuditCode::ALL {
        let (number, word) = (code.code(), code.word());
        table.push_str(&["| `", number, "` | `", word, "` | ", code.meaning(), " |\n"].concat());
    }
    table
}
