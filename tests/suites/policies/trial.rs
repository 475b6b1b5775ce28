use std::fs;

use symbolon_e2e::http::Call;

use super::Judging;

#[tokio::test]
async fn a_policy_in_shadow_mode_is_counted_and_recorded_and_changes_nothing() {
    let judging = Judging::start("").await;
    let text = "@id(\"no-reading\") @mode(\"shadow\") forbid (principal, action == Symbolon::Action::\"issue\", resource) when { context.scope == \"notes:read\" };\n\
                @id(\"writing\") @mode(\"shadow\") permit (principal, action == Symbolon::Action::\"issue\", resource)\n\
                when { context.scope == \"notes:write\" && context.key_bound };";
    fs::write(judging.policies().join("trial.cedar"), text).unwrap();
    judging.reaches("symbolon_broker_policies", 6).await;
    assert_eq!(judging.ask("notes:read").await.status, 200);
    judging.reaches("symbolon_broker_shadow_verdicts_total{verdict=\"would_deny\"}", 1).await;
    let denied = judging.ask("notes:write").await;
    assert_eq!(denied.text("error"), "access_denied");
    let would_permit = "symbolon_broker_shadow_verdicts_total{verdict=\"would_permit\"}";
    assert_eq!(judging.metric(would_permit).await, None, "the key is not proved");
    let other = "@id(\"one-more\") permit (principal, action, resource == Symbolon::Resource::\"orders\");";
    let changed = format!("{}\n{other}", text.replace(" && context.key_bound", ""));
    fs::write(judging.policies().join("trial.cedar"), changed).unwrap();
    judging.reaches("symbolon_broker_policies", 7).await;
    let last = judging.ask("notes:write").await;
    judging.reaches(would_permit, 1).await;
    assert_eq!(last.text("error"), "access_denied");
    let path = format!("/v1/decisions/{}", last.text("decision_id"));
    let recorded = Call::get(&path).send(judging.broker.admin_socket().as_path()).await.unwrap();
    assert_eq!(
        recorded.json()["facts"]["shadow"]["would_permit"]["policies"],
        serde_json::json!(["writing"])
    );
}

#[tokio::test]
async fn the_time_of_day_at_a_configured_place_decides() {
    let judging = Judging::start("local_times: { here: Etc/UTC, there: Pacific/Kiritimati }\n").await;
    // It is never the same time at both places: they are fourteen hours apart.
    let text = "@id(\"closed\") forbid (principal, action == Symbolon::Action::\"issue\", resource)\n\
                when { context.scope == \"notes:read\" && context.local.here.time != context.local.there.time };";
    fs::write(judging.policies().join("hours.cedar"), text).unwrap();
    judging.reaches("symbolon_broker_policies", 5).await;
    assert_eq!(judging.ask("notes:read").await.text("error"), "access_denied");
    let other = "@id(\"one-more\") permit (principal, action, resource == Symbolon::Resource::\"orders\");";
    let opened = format!("{}\n{other}", text.replace("!=", "=="));
    fs::write(judging.policies().join("hours.cedar"), opened).unwrap();
    judging.reaches("symbolon_broker_policies", 6).await;
    assert_eq!(judging.ask("notes:read").await.status, 200);
}
