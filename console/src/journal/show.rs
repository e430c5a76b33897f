//! `kubeskippy journal show`: the lines as a person reads them.

use actuator::report::Entry;
use schemas::{action::Decision, envelope::Envelope, journal};
use serde::Deserialize;

use super::{Error, ShowArgs, lines};
use crate::print::{self, plain};

/// What a line is about.
#[derive(Deserialize)]
struct About {
    namespace: String,
    action: String,
}

pub(super) async fn show(args: ShowArgs) -> Result<(), Error> {
    let mut lines = lines(&args.source).await?;
    let all = args.action.is_none() && args.namespace.is_none();
    while let Some(line) = lines.next().await? {
        let about = serde_json::from_slice::<Envelope<About>>(&line).ok();
        let wanted = match about {
            Some(event) => is_wanted(&args, &event.data),
            // What cannot be read may hide anything: whoever asks for all sees it.
            None => all,
        };
        if !wanted {
            continue;
        }
        let text = if args.lines {
            String::from_utf8_lossy(&line).into_owned()
        } else {
            text(&line)
        };
        print::line(&text).map_err(Error::Print)?;
    }
    Ok(())
}

fn is_wanted(args: &ShowArgs, about: &About) -> bool {
    let same = |wanted: &Option<String>, is: &String| wanted.as_ref().is_none_or(|it| it == is);
    same(&args.action, &about.action) && same(&args.namespace, &about.namespace)
}

fn text(line: &[u8]) -> String {
    let Ok(event) = serde_json::from_slice::<Envelope<Entry>>(line) else {
        return "-  cannot be read; `kubeskippy journal verify` says why".to_owned();
    };
    let place = match journal::link(line) {
        Some(found) if found.is_whole => found.head.sequence.to_string(),
        Some(_) | None => "!".to_owned(),
    };
    let entry = event.data;
    let mut rows = vec![format!(
        "{place}  {}  {}/{}  {} -> {}  {}: {}",
        event.time,
        entry.namespace,
        entry.action,
        entry.from,
        entry.phase,
        entry.reason,
        entry.message
    )];
    rows.extend(more(&entry).into_iter().map(|row| format!("     {row}")));
    let rows: Vec<_> = rows.iter().map(|row| plain(row)).collect();
    rows.join("\n")
}

fn more(entry: &Entry) -> Vec<String> {
    let mut rows = Vec::new();
    if let Some(approval) = &entry.approval {
        let word = match approval.decision {
            Decision::Approved => "approved",
            Decision::Rejected => "rejected",
        };
        let reason = approval.reason.as_ref().map(|it| format!(": {it}"));
        let who = &approval.approved_by;
        rows.push(format!("{word} by {who}{}", reason.unwrap_or_default()));
    }
    let held = entry.verdicts.iter().filter(|it| it.verdict != "Allow");
    rows.extend(held.map(|it| {
        let message = it.message.as_deref().unwrap_or_default();
        format!("{} says {}: {message}", it.guard, it.verdict)
    }));
    rows.extend(entry.plan.iter().map(|step| format!("plan: {}", step.call)));
    rows.extend(entry.undo.iter().map(|step| format!("undo: {}", step.call)));
    if let Some(seen) = &entry.verification {
        let message = seen.message.as_deref().unwrap_or_default();
        rows.push(format!("verified: {} {message}", seen.outcome));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_line_names_who_approved_and_what_is_altered() {
        let entry = json!({
            "cluster": "c", "namespace": "shop", "action": "a", "actionUid": "u", "policy": "p",
            "target": "Pod/web-1", "targetUid": "t", "from": "Pending", "phase": "Approved",
            "reason": "Approved", "message": "by hand", "verdicts": [], "plan": [],
            "approval": {"decision": "approved", "approvedBy": "alice"},
        });
        let event = Envelope::new(
            "i".to_owned(),
            "/s".to_owned(),
            "t".to_owned(),
            jiff::Timestamp::UNIX_EPOCH,
            entry,
        );
        let (line, _) = journal::seal(&event, None).unwrap();
        let shown = text(&line);
        assert!(
            shown.starts_with("1  1970") && shown.contains("approved by alice"),
            "{shown}"
        );
        let altered = String::from_utf8(line).unwrap().replace("alice", "mallo");
        assert!(text(altered.as_bytes()).starts_with("!  "));
        assert!(text(b"{").contains("cannot be read"));
    }
}
