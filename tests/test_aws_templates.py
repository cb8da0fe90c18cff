"""The templates, before any is deployed: what AWS's own linters say, what our rules say, and that each rule can fail."""
import copy
import json
import os
import re
import subprocess
from functools import cache

import pytest
from awscli.customizations.cloudformation.yamlhelper import yaml_parse

from support.process import REPO

DEPLOY = REPO / "deploy/aws"
TOOLS = REPO / ".peers/aws-lint/bin"
SAM = ["template_new_bucket.yaml", "template_existing_bucket.yaml"]
PLAIN = [f"cloudformation/{name}" for name in SAM]
ALL = [*SAM, *PLAIN, "network.yaml"]
TRIGGERS = ["S3", "SNS", "SQS", "EventBridge"]


def tool(*argv, stdin: str | None = None) -> str:
    """Runs a linter in deploy/aws; its output. It must be content."""
    env = {**os.environ, "SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test",
           "AWS_SECRET_ACCESS_KEY": "test", "AWS_CONFIG_FILE": "/dev/null", "PATH": f"{TOOLS}:{os.environ['PATH']}"}
    done = subprocess.run([TOOLS / argv[0], *argv[1:]], cwd=DEPLOY, env=env, input=stdin, capture_output=True, text=True,
                          timeout=300)
    assert done.returncode == 0, f"{' '.join(map(str, argv))}\n{done.stdout}{done.stderr}"
    return done.stdout


# --- linters ----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("template", SAM)
def test_sam_validate(template):
    assert "is a valid SAM Template" in tool("sam", "validate", "--lint", "-t", template)


def test_cfn_lint():
    tool("cfn-lint", "--include-checks", "W", "I", "--", *ALL)


def test_checkov(say):
    """Nothing fails; what is skipped has its reason beside the resource, in the template."""
    report = json.loads(tool("checkov", "--skip-download", "--framework", "cloudformation", "-o", "json", "-f", *ALL))
    assert not report["results"]["failed_checks"]
    skipped = report["results"]["skipped_checks"]
    assert all(len(check["check_result"]["suppress_comment"]) > 5 for check in skipped)
    assert {check["file_path"].lstrip("/") for check in report["results"]["passed_checks"]} == set(ALL)
    say(f"{report['summary']['passed']} checks of checkov hold, {len(skipped)} are skipped with a reason")


# --- one source -------------------------------------------------------------------------------------------

def test_what_is_generated_is_current():
    done = subprocess.run([DEPLOY / "generate", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


TRANSLATE = """
import json, sys
from samtranslator.translator.transform import transform
class Policies:
    def load(self): return {}
print(json.dumps(transform(json.load(sys.stdin), {}, Policies())))
"""


@pytest.mark.parametrize("template", SAM)
def test_the_plain_template_is_what_sam_makes(template):
    """But for the code's place, and what SAM adds of itself: a tag, and its own mark."""
    source = yaml_parse((DEPLOY / template).read_text())
    source["Resources"]["ThumbnailFunction"]["Properties"]["CodeUri"] = "s3://code/zip"
    made = json.loads(tool("python", "-c", TRANSLATE, stdin=json.dumps(source)))
    plain = json.loads(json.dumps(yaml_parse((DEPLOY / "cloudformation" / template).read_text())))
    for resources in (made["Resources"], plain["Resources"]):
        function = resources["ThumbnailFunction"]
        function.pop("Metadata", None)
        function["Properties"].pop("Code")
        function["Properties"].pop("Tags", None)
    assert made["Resources"] == plain["Resources"]
    assert made["Outputs"] == plain["Outputs"] and made["Conditions"] == plain["Conditions"]
    assert set(plain["Parameters"]) - set(made["Parameters"]) == {"CodeBucket", "CodeKey"}


@pytest.mark.parametrize("template", ALL)
def test_every_parameter_is_explained_and_used(template):
    text = (DEPLOY / template).read_text()
    parsed = yaml_parse(text)
    groups = parsed.get("Metadata", {}).get("AWS::CloudFormation::Interface", {}).get("ParameterGroups", [])
    grouped = [name for group in groups for name in group["Parameters"]]
    if groups:
        assert sorted(grouped) == sorted(parsed["Parameters"])
    for name, parameter in parsed["Parameters"].items():
        assert parameter.get("Description"), name
        assert re.search(rf"!Ref {name}\b|\$\{{{name}\}}|!Ref \"?{name}", text), f"{name} is not used"


def test_the_seeds_parameters_have_its_defaults():
    parameters = yaml_parse((DEPLOY / SAM[0]).read_text())["Parameters"]
    assert {name: parameters[name]["Default"] for name in (
        "SourceImageBucketName", "LambdaFunctionName", "TemporaryImagePath", "MemSize", "ExpirationInDay")} == {
        "SourceImageBucketName": "thumbnail-bucket-1412312", "LambdaFunctionName": "ThumbnailFunction",
        "TemporaryImagePath": "temp/", "MemSize": 1024, "ExpirationInDay": 1}
    assert "Policy" in parameters


# --- rules of our own -------------------------------------------------------------------------------------

UNSAID = object()  # AWS::NoValue


@cache
def decided(template: str, **parameters) -> dict:
    """The template as CloudFormation sees it when it deploys: parameters filled in, conditions decided."""
    source = yaml_parse((DEPLOY / template).read_text())
    known = {"AWS::Partition": "aws", "AWS::Region": "us-east-1", "AWS::AccountId": "123456789012", "AWS::NoValue": UNSAID,
             **{name: p.get("Default", "") for name, p in source["Parameters"].items()}, **parameters}
    known["Bucket.Arn"] = f"arn:aws:s3:::{known.get('SourceImageBucketName')}"
    lists = {name for name, p in source["Parameters"].items() if "List" in p["Type"]}

    def holds(name: str) -> bool:
        return resolve(source["Conditions"][name])

    def fill(text: str):
        done = re.sub(r"\$\{([\w:.]+)\}", lambda m: str(known.get(m[1], m[0])), text)
        return {"Fn::Sub": done} if "${" in done else done

    def resolve(node):
        if isinstance(node, list):
            return [value for value in map(resolve, node) if value is not UNSAID]
        if not isinstance(node, dict):
            return node
        match list(node.items()):
            case [("Ref", name)] if name in known:
                return known[name].split(",") if name in lists else known[name]
            case [("Condition", str(name))]:
                return holds(name)
            case [("Fn::If", [name, then, other])]:
                return resolve(then if holds(name) else other)
            case [("Fn::Equals", [one, other])]:
                return str(resolve(one)) == str(resolve(other))
            case [("Fn::Not", [condition])]:
                return not resolve(condition)
            case [("Fn::Join", [between, parts])] if isinstance(resolve(parts), list):
                return between.join(map(str, resolve(parts)))
            case [("Fn::Sub", str(text))]:
                return fill(text)
        return {key: value for key, child in node.items() if (value := resolve(child)) is not UNSAID}

    there = {name: r for name, r in source["Resources"].items() if "Condition" not in r or holds(r["Condition"])}
    return {"Resources": {name: resolve({k: v for k, v in r.items() if k != "Condition"}) for name, r in there.items()}}


# Each rule by itself: of a long answer this build of Guard gives the end alone. Only that of a failure is ever long.
GUARD = r"""
import json, re, sys
from cfn_guard_rs.cfn_guard_rs import run_checks_rs
text, documents = json.load(sys.stdin)
shared = "\n".join(re.findall(r"^let .*", text, re.M))
rules = {name: f"{shared}\n{rule}" for rule, name in re.findall(r"^(rule (\w+).*?^\})", text, re.M | re.S)}
def holds(rule, document):
    try:
        return json.loads(run_checks_rs(json.dumps(document), rule, False))["status"] != "FAIL"
    except json.JSONDecodeError:
        return False
print(json.dumps([[name for name, rule in rules.items() if not holds(rule, document)] for document in documents]))
"""


def guard(rules: str, documents: list[dict]) -> list[list[str]]:
    """For each document the rules that it breaks."""
    return json.loads(tool("python", "-c", GUARD, stdin=json.dumps([(DEPLOY / "guard" / rules).read_text(), documents])))


def test_every_deployment_keeps_the_rules():
    variants = [{}, {"PublicRead": "yes"}, {"VpcSubnetIds": "subnet-a,subnet-b", "SecurityGroupIds": "sg-1"},
                {"Tracing": "Active", "AlarmEmail": "a@example.com"},
                {"CallbackSecretArn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:s",
                 "KmsKeyArn": "arn:aws:kms:us-east-1:123456789012:key/k"}]
    cases = [(template, {"Trigger": trigger, **more}) for template in PLAIN for trigger in TRIGGERS for more in variants
             if "PublicRead" not in more or "new" in template]
    documents = [decided(template, **parameters) for template, parameters in cases] + [decided("network.yaml")]
    for case, broken in zip([*cases, "network.yaml"], guard("tintype.guard", documents)):
        assert not broken, f"{case} breaks {broken}"
    for case, broken in zip(cases, guard("closed.guard", documents)):
        assert bool(broken) == ("PublicRead" in case[1]), f"{case} breaks {broken}"


GONE = object()
STACK = {trigger: {"Trigger": trigger} for trigger in TRIGGERS} | {
    "public": {"PublicRead": "yes"}, "vpc": {"VpcSubnetIds": "subnet-a", "SecurityGroupIds": "sg-1"}}
ANYONE = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/image/*"}
SEEDS = {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": ["arn:aws:s3:::b", "arn:aws:s3:::b/*"]}
STATEMENTS = "Properties/PolicyDocument/Statement"
GRANT = {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "arn:aws:s3:::b/image/*"}
GRANTS = "Role/Properties/Policies/0/PolicyDocument/Statement"
# rule, stack, what is changed, what it becomes. The last name of a path may be `+`: one more of a list.
BROKEN = [
    ("nobody_writes_unasked", "S3", f"BucketPolicy/{STATEMENTS}/+", SEEDS),
    ("nobody_writes_unasked", "S3", f"BucketPolicy/{STATEMENTS}/+", {**ANYONE, "Action": "s3:PutObject"}),
    ("nobody_writes_unasked", "S3", f"BucketPolicy/{STATEMENTS}/+", {**ANYONE, "Action": ["s3:GetObject", "s3:PutObject"]}),
    ("nobody_writes_unasked", "S3", f"BucketPolicy/{STATEMENTS}/+", {**ANYONE, "Action": "s3:PutObject", "Principal": {"AWS": "*"}}),
    ("nobody_writes_unasked", "S3", f"BucketPolicy/{STATEMENTS}/+", {**ANYONE, "Action": "s3:PutObject", "Principal": {"AWS": ["*"]}}),
    ("nobody_writes_unasked", "public", f"BucketPolicy/{STATEMENTS}/1/Resource", "arn:aws:s3:::b/*"),
    ("nobody_writes_unasked", "SQS", f"QueuePolicy/{STATEMENTS}/+", {**ANYONE, "Action": "sqs:SendMessage"}),
    ("nobody_writes_unasked", "SNS", f"TopicPolicy/{STATEMENTS}/+", {**ANYONE, "Action": "sns:Publish"}),
    ("services_act_for_one_source", "SQS", f"QueuePolicy/{STATEMENTS}/1/Condition/ArnEquals", GONE),
    ("services_act_for_one_source", "SQS", f"QueuePolicy/{STATEMENTS}/1/Condition/StringEquals", GONE),
    ("services_act_for_one_source", "SQS", f"QueuePolicy/{STATEMENTS}/1/Action", "sqs:*"),
    ("services_act_for_one_source", "SQS", f"QueuePolicy/{STATEMENTS}/1/Resource", "*"),
    ("services_act_for_one_source", "SNS", f"QueuePolicy/{STATEMENTS}/1/Condition", GONE),
    ("services_act_for_one_source", "SNS", f"TopicPolicy/{STATEMENTS}/1/Condition/StringEquals", GONE),
    ("services_act_for_one_source", "EventBridge", f"QueuePolicy/{STATEMENTS}/1/Condition", GONE),
    ("services_act_for_one_source", "EventBridge", f"DeadLetterQueuePolicy/{STATEMENTS}/1/Condition", GONE),
    ("the_function_is_called_by_one_source", "S3", "S3Permission/Properties/SourceArn", GONE),
    ("the_function_is_called_by_one_source", "S3", "S3Permission/Properties/SourceAccount", GONE),
    ("the_function_is_called_by_one_source", "S3", "S3Permission/Properties/Principal", "*"),
    ("roles_are_narrow", "S3", f"{GRANTS}/+", {**GRANT, "Action": "s3:*"}),
    ("roles_are_narrow", "S3", f"{GRANTS}/+", {**GRANT, "Action": ["s3:GetObject", "s3:Put*"]}),
    ("roles_are_narrow", "S3", f"{GRANTS}/+", {**GRANT, "Action": ["s3:DeleteObjectVersion"]}),
    ("roles_are_narrow", "S3", f"{GRANTS}/+", {**GRANT, "Action": ["iam:PassRole"]}),
    ("roles_are_narrow", "S3", f"{GRANTS}/+", {**GRANT, "Resource": "*"}),
    ("roles_are_narrow", "S3", f"{GRANTS}/+", {**GRANT, "Resource": ["*"]}),
    ("roles_are_narrow", "S3", f"{GRANTS}/+", {**GRANT, "Resource": "arn:aws:s3:::b/*"}),
    ("roles_are_narrow", "S3", f"{GRANTS}/+", {"Effect": "Allow", "NotAction": "iam:*", "Resource": "arn:aws:s3:::b"}),
    ("roles_are_narrow", "vpc", "Role/Properties/Policies/+",
     {"PolicyName": "n", "PolicyDocument": {"Statement": [{"Effect": "Allow", "Action": ["ec2:RunInstances"], "Resource": "*"}]}}),
    ("roles_are_narrow", "S3", "Role/Properties/AssumeRolePolicyDocument/Statement/0/Principal", {"AWS": "*"}),
    ("tls_only", "S3", f"BucketPolicy/{STATEMENTS}/0", GONE),
    ("tls_only", "S3", f"BucketPolicy/{STATEMENTS}/0/Condition/Bool/aws:SecureTransport", "true"),
    ("tls_only", "SQS", f"QueuePolicy/{STATEMENTS}/0", GONE),
    ("tls_only", "SQS", f"DeadLetterQueuePolicy/{STATEMENTS}/0/Effect", "Allow"),
    ("tls_only", "SNS", f"TopicPolicy/{STATEMENTS}/0", GONE),
    ("every_bucket_and_queue_has_a_policy", "S3", "BucketPolicy", GONE),
    ("every_bucket_and_queue_has_a_policy", "S3", "DeadLetterQueuePolicy", GONE),
    ("encrypted_at_rest", "S3", "Bucket/Properties/BucketEncryption", GONE),
    ("encrypted_at_rest", "S3", "Queue/Properties/SqsManagedSseEnabled", False),
    ("encrypted_at_rest", "S3", "DeadLetterQueue/Properties/SqsManagedSseEnabled", GONE),
    ("no_secret_in_the_environment", "S3", "ThumbnailFunction/Properties/Environment/Variables/TINTYPE_CALLBACK__SECRET", "whsec_x"),
    ("no_secret_in_the_environment", "S3", "ThumbnailFunction/Properties/Environment/Variables/AWS_SECRET_ACCESS_KEY", "x"),
    ("no_secret_in_the_environment", "S3", "CallbackSecret/Properties/SecretString", "whsec_x"),
    ("the_bucket_owns_what_is_in_it", "S3", "Bucket/Properties/OwnershipControls", GONE),
    ("the_bucket_owns_what_is_in_it", "S3", "Bucket/Properties/OwnershipControls/Rules/0/ObjectOwnership", "ObjectWriter"),
    ("the_bucket_owns_what_is_in_it", "S3", "Bucket/Properties/AccessControl", "PublicReadWrite"),
    ("the_bucket_owns_what_is_in_it", "public", "Bucket/Properties/PublicAccessBlockConfiguration/BlockPublicAcls", False),
    ("the_bucket_owns_what_is_in_it", "S3", "Bucket/Properties/PublicAccessBlockConfiguration", GONE),
    ("images_outlive_the_stack", "S3", "Bucket/DeletionPolicy", "Delete"),
    ("images_outlive_the_stack", "S3", "Bucket/UpdateReplacePolicy", GONE),
    ("originals_do_not_stay", "S3", "Bucket/Properties/LifecycleConfiguration/Rules/0", GONE),
    ("originals_do_not_stay", "S3", "Bucket/Properties/LifecycleConfiguration/Rules/0/Prefix", GONE),
    ("originals_do_not_stay", "S3", "Bucket/Properties/LifecycleConfiguration/Rules/0/Status", "Disabled"),
    ("originals_do_not_stay", "S3", "Bucket/Properties/LifecycleConfiguration/Rules/1", GONE),
    ("what_fails_is_kept", "S3", "AsyncConfig/Properties/DestinationConfig", GONE),
    ("what_fails_is_kept", "S3", "AsyncConfig", GONE),
    ("what_fails_is_kept", "SQS", "Queue/Properties/RedrivePolicy", GONE),
    ("what_fails_is_kept", "SQS", "DeadLetterQueue/Properties/MessageRetentionPeriod", 345600),
    ("what_fails_is_kept", "SQS", "QueueMapping/Properties/FunctionResponseTypes", GONE),
    ("what_fails_is_kept", "SNS", "Subscription/Properties/RedrivePolicy", GONE),
    ("what_fails_is_kept", "EventBridge", "Rule/Properties/Targets/0/DeadLetterConfig", GONE),
    ("nothing_but_originals_starts_the_function", "S3", "Bucket/Properties/NotificationConfiguration/LambdaConfigurations/0/Filter", GONE),
    ("nothing_but_originals_starts_the_function", "SQS", "Bucket/Properties/NotificationConfiguration/QueueConfigurations/0/Filter", GONE),
    ("nothing_but_originals_starts_the_function", "SNS", "Bucket/Properties/NotificationConfiguration/TopicConfigurations/0/Filter", GONE),
    ("nothing_but_originals_starts_the_function", "EventBridge", "Rule/Properties/EventPattern/detail/object", GONE),
    ("logs_end_some_day", "S3", "LogGroup/Properties/RetentionInDays", GONE),
    ("logs_end_some_day", "S3", "LogGroup", GONE),
    ("nothing_comes_in", "network", "SecurityGroup/Properties/SecurityGroupIngress",
     [{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIp": "0.0.0.0/0"}]),
    ("nothing_comes_in", "network", "SecurityGroup/Properties/SecurityGroupEgress/+",
     {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": "0.0.0.0/0"}),
    ("nothing_comes_in", "network", "PublicSubnetA/Properties/MapPublicIpOnLaunch", True),
    ("all_public_access_is_blocked", "S3", "Bucket/Properties/PublicAccessBlockConfiguration/BlockPublicPolicy", False),
    ("all_public_access_is_blocked", "S3", "Bucket/Properties/PublicAccessBlockConfiguration/RestrictPublicBuckets", GONE),
    ("nobody_reads_unasked", "S3", f"BucketPolicy/{STATEMENTS}/+", ANYONE),
    ("nobody_reads_unasked", "S3", f"BucketPolicy/{STATEMENTS}/+", {**ANYONE, "Principal": {"AWS": "*"}}),
]


def broken(stack: str, path: str, becomes) -> dict:
    sound = decided("network.yaml") if stack == "network" else decided(PLAIN[0], **STACK[stack])
    document = copy.deepcopy(sound)
    *way, last = path.split("/")
    place = document["Resources"]
    for name in way:
        place = place[int(name) if isinstance(place, list) else name]
    if last == "+":
        place.append(becomes)
    elif becomes is GONE:
        del place[int(last) if isinstance(place, list) else last]
    else:
        place[int(last) if isinstance(place, list) else last] = becomes
    return document


@pytest.mark.parametrize("rules", ["tintype.guard", "closed.guard"])
def test_every_rule_fails_where_it_should(rules):
    """A rule that cannot fail is no rule."""
    names = re.findall(r"^rule (\w+)", (DEPLOY / "guard" / rules).read_text(), re.M)
    cases = [case for case in BROKEN if case[0] in names]
    assert {case[0] for case in cases} == set(names), "a rule that nothing here breaks"
    told = guard(rules, [broken(*case[1:]) for case in cases])
    blind = [case for case, rules_broken in zip(cases, told) if case[0] not in rules_broken]
    assert not blind, "\n".join(f"{rule} does not see {path} of {stack} become {new}" for rule, stack, path, new in blind)
