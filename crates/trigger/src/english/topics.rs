//! What English words tell what a call is about.

use std::collections::BTreeMap;

use super::list;

pub(super) fn sets() -> BTreeMap<String, Vec<String>> {
    TOPICS.iter().map(|(name, phrases)| ((*name).to_owned(), list(phrases))).collect()
}

const TOPICS: &[(&str, &str)] = &[
    (
        "billing",
        "bill, bills, billing, invoice, invoices, charge, charges, charged, payment, payments, paid, statement, \
         direct debit, credit card, my card, balance, fee, fees, subscription fee, overcharged",
    ),
    (
        "billing_dispute",
        "dispute, disputed, charged twice, double charged, charged me twice, overcharged, wrong amount, wrong charge, \
         unauthorized charge, unauthorised charge, didnt authorize, did not authorize, never ordered, \
         dont recognize this charge, incorrect bill, bill is wrong, invoice is wrong, chargeback",
    ),
    (
        "refund",
        "refund, refunds, refunded, money back, reimburse, reimbursed, reimbursement, my money returned",
    ),
    (
        "cancellation",
        "cancel, cancelling, canceling, cancellation, cancel my subscription, cancel my contract, end my contract, \
         terminate my contract, stop my subscription, unsubscribe, switching to, switch to another, leave you, \
         leaving you",
    ),
    (
        "account_closure",
        "close my account, close the account, closing my account, delete my account, account closure, \
         shut down my account, close out my account",
    ),
    (
        "legal",
        "lawyer, lawyers, attorney, solicitor, lawsuit, sue, suing, legal action, court, ombudsman, small claims, \
         legal department, subpoena",
    ),
    (
        "compliance",
        "gdpr, data protection, privacy request, my personal data, regulator, compliance, consumer protection, \
         financial conduct authority, right to be forgotten, data subject",
    ),
    (
        "security_incident",
        "security incident, data breach, phishing, malware, ransomware, security issue, vulnerability, data leak, \
         leaked",
    ),
    (
        "account_breach",
        "hacked, account was hacked, someone logged in, somebody logged in, someone accessed, somebody accessed, \
         stolen identity, identity theft, compromised, unauthorized transaction, unauthorised transaction, \
         stolen card, card was stolen, fraud, fraudulent, not my transaction, unauthorized access",
    ),
    (
        "financial_approval",
        "loan approval, approve my loan, credit limit, increase my limit, mortgage application, loan application, \
         large transfer, wire transfer approval, overdraft increase",
    ),
    (
        "medical_approval",
        "prior authorization, prior authorisation, medical approval, prescription refill, refill my prescription, \
         pre approval, preapproval, surgery approval, medication, dosage, test results, diagnosis, symptoms",
    ),
    (
        "pricing",
        "price, prices, pricing, quote, cost, costs, how much is, how much does, discount, upgrade, enterprise plan, \
         premium plan, plans, demo, package",
    ),
    (
        "technical",
        "bug, error message, crash, crashes, crashed, not loading, doesnt load, login, log in, password, reset, \
         install, installation, update, integration, api, router, internet, wifi, connection, outage, offline, \
         website is down, app is down",
    ),
    (
        "delivery",
        "order, orders, parcel, package, delivery, deliver, delivered, shipping, shipped, shipment, tracking, courier, \
         my item, my items",
    ),
    ("appointment", "appointment, appointments, book a, booking, reschedule, schedule a, visit, time slot"),
    (
        "product",
        "warranty, return, returns, exchange, replacement, defective, broken item, size, in stock, product",
    ),
];
