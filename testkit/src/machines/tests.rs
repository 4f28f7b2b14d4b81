//! The contract on machines in trial, and the faults that only they have.

use super::*;
use crate::contract::machines::holds;

#[tokio::test(start_paused = true)]
async fn the_contract_is_kept() {
    holds(&Trial::begin()).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_lost_may_stand_for_an_effect() {
    let trial = Trial::begin();
    let (machines, spec) = (trial.memory(), trial.spec());
    machines.fail_next([Fault::Refused, Fault::AnswerLost]);
    for exists in [false, true] {
        let lost = machines.create(&spec).await;
        assert!(matches!(&lost, Err(err) if err.is_retryable()), "{lost:?}");
        assert_eq!(machines.look(&spec.name).await.unwrap().is_some(), exists);
    }
    machines.create(&spec).await.unwrap();
    assert_eq!(machines.specs(), [spec]);
}

#[tokio::test(start_paused = true)]
async fn a_backend_may_be_down_or_full_or_refuse_us_or_lack_a_way() {
    let trial = Trial::begin();
    let (machines, spec) = (trial.memory(), trial.spec());
    machines.set_health(Health::RefusesCredentials);
    let refused = machines.create(&spec).await;
    assert!(matches!(&refused, Err(Error::CredentialsRefused(_))), "{refused:?}");
    machines.set_health(Health::Down);
    assert!(matches!(machines.list().await, Err(Error::Unavailable(_))));
    machines.set_health(Health::Answers);
    machines.set_quota(1);
    machines.create(&spec).await.unwrap();
    let full = machines.create(&trial.spec()).await;
    assert!(matches!(full, Err(Error::Quota { .. })), "{full:?}");
    machines.lack(Ability::Delete, "it was given");
    let cannot = machines.delete(&spec.name).await;
    let told = matches!(&cannot, Err(Error::Cannot { what: Ability::Delete, .. }));
    assert!(told && machines.lacks(Ability::Delete) == Some("it was given"), "{cannot:?}");
}
