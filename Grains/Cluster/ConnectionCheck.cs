using System.Collections.Immutable;
using System.Security.Cryptography;
using Microsoft.Extensions.Options;
using MultiCluster.Clusters;
using MultiCluster.Kubernetes.Configuration;
using MultiCluster.Kubernetes.Discovery;
using MultiCluster.Kubernetes.Errors;
using MultiCluster.Kubernetes.Transport;

namespace MultiCluster.Grains.Cluster;

/// <summary>What a look at a cluster found before it is taken into the fleet. Immutable.</summary>
internal sealed record ConnectionFindings
{
    /// <summary>What the user reads.</summary>
    public ConnectionChecks Checks { get; init; } = new();

    /// <summary>What speaks against taking it; <c>Force</c> overlooks these.</summary>
    public ImmutableArray<ClusterFault> Faults { get; init; } = [];

    /// <summary>What the user should know all the same.</summary>
    public ImmutableArray<string> Warnings { get; init; } = [];

    /// <summary>Uid of the <c>kube-system</c> namespace; empty where it could not be read.</summary>
    public string ServerIdentity { get; init; } = "";

    /// <summary>The probe; null where it never came to one.</summary>
    public ProbeResult? Probe { get; init; }
}

/// <summary>Looks at a cluster before it is taken into the fleet: is it there, does it take us, who are we, what may we do.</summary>
/// <remarks>
/// Thread-safe. Never throws for what the server does, never stores anything, and ends within
/// <see cref="HealthOptions.CheckTimeout"/> whatever the server does.
/// </remarks>
internal sealed class ConnectionCheck(IOptions<HealthOptions> health, IOptions<MirrorOptions> mirror, KubeClients clients, TimeProvider time)
{
    // Role bindings are per namespace, so a namespace without any shows exactly what holds everywhere, which is what the
    // mirror needs. It need not exist.
    private const string NamespaceWithoutRoles = "multicluster-access-check";

    // Above this many kinds the single questions would eat the time of the check; what stays open is not reported as missing.
    private const int MaxQuestions = 64;

    private const string ConnectionField = "connection";

    /// <summary>Looks at a cluster.</summary>
    public async Task<ConnectionFindings> RunAsync(ClusterConnection connection, MirrorScope scope, CancellationToken cancellationToken)
    {
        ImmutableArray<string> wrong = connection.Check(time.GetUtcNow());
        if (!wrong.IsEmpty)
        {
            return new ConnectionFindings { Faults = [.. wrong.Select(fault => ClusterFaults.Invalid(ConnectionField, fault))] };
        }

        KubeClient client;
        try
        {
            client = clients.Create(connection);
        }
        catch (CryptographicException)
        {
            return new ConnectionFindings { Faults = [ClusterFaults.Invalid(ConnectionField, "The client certificate or its key cannot be used; give both in PEM.")] };
        }

        await using (client)
        {
            using var deadline = new CancellationTokenSource(health.Value.CheckTimeout, time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
            var findings = new ConnectionFindings();
            try
            {
                findings = await ProbeAsync(client, findings, either.Token);
                return findings.Faults.IsEmpty ? await AskAsync(client, scope, findings, either.Token) : findings;
            }
            catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
            {
                return With(findings, new ClusterFault(
                    nameof(KubeErrorKind.Timeout),
                    $"The checks did not end within {health.Value.CheckTimeout.TotalSeconds:0} s; the server answers too slowly.",
                    ConnectionField));
            }
            catch (KubeException e)
            {
                return With(findings, ClusterFaults.From(e.Error, ConnectionField));
            }
        }
    }

    private async Task<ConnectionFindings> ProbeAsync(KubeClient client, ConnectionFindings findings, CancellationToken cancellationToken)
    {
        ProbeResult probe = await client.ProbeAsync(health.Value.ProbeTimeout, cancellationToken);
        findings = findings with
        {
            Probe = probe,
            Checks = findings.Checks with { Latency = probe.Latency },
        };
        ProbeReading reading = ProbeReading.Of(probe, health.Value.SlowAfter);
        return reading.Verdict switch
        {
            ProbeVerdict.Unreachable => With(findings, reading.Fault! with { Field = ConnectionField }),
            ProbeVerdict.Refused when probe.Outcome == ProbeOutcome.Unauthorized
                => With(findings with { Checks = findings.Checks with { Reachable = true } }, reading.Fault! with { Field = ConnectionField }),
            ProbeVerdict.Healthy => findings with { Checks = findings.Checks with { Reachable = true } },
            _ => findings with
            {
                Checks = findings.Checks with { Reachable = true },
                Warnings = [.. findings.Warnings, reading.Fault!.Message],
            },
        };
    }

    private async Task<ConnectionFindings> AskAsync(KubeClient client, MirrorScope scope, ConnectionFindings findings, CancellationToken cancellationToken)
    {
        var warnings = findings.Warnings.ToBuilder();
        UserIdentity who = await KnownAsync(client.WhoAmIAsync(cancellationToken), new UserIdentity("", null, []), warnings);
        findings = findings with { Checks = findings.Checks with { Authenticated = true, User = who.Name, Groups = who.Groups } };
        ServerVersion version = await KnownAsync(client.GetVersionAsync(cancellationToken), new ServerVersion(0, 0, "", ""), warnings);
        findings = findings with { Warnings = warnings.ToImmutable(), Checks = findings.Checks with { Version = version.GitVersion } };

        // Where the rules are too many to be read, single questions tell what the mirror must know.
        Task<AccessRules> asked = KnownAsync(client.GetRulesAsync(NamespaceWithoutRoles, cancellationToken), new AccessRules([], Incomplete: true), warnings: null);
        Task<string> identity = ReadIdentityAsync(client, cancellationToken);
        Task<ApiSurface> discovered = new DiscoveryReader(client).ReadAsync(cancellationToken);
        await Task.WhenAll(asked, identity, discovered);

        SelectedKinds kinds = KindSelection.Choose((await discovered).Resources, scope, mirror.Value.DenyList);
        ImmutableArray<string> missing = await MissingAsync(client, await asked, kinds.Mirrored, cancellationToken);
        findings = findings with
        {
            ServerIdentity = await identity,
            Checks = findings.Checks with { MissingPermissions = missing },
        };
        int lacking = missing.Select(right => right[(right.IndexOf(' ', StringComparison.Ordinal) + 1)..]).Distinct(StringComparer.Ordinal).Count();
        if (kinds.Mirrored.Length > 0 && lacking == kinds.Mirrored.Length)
        {
            findings = With(findings, new ClusterFault(
                ClusterFault.MissingPermissions,
                $"{(who.IsKnown ? $"User {who.Name}" : "The user")} may list and watch none of the {kinds.Mirrored.Length} kinds; bind a role such as view, or narrow the mirror's scope.",
                ConnectionField));
        }

        return findings;
    }

    private static async Task<ImmutableArray<string>> MissingAsync(
        KubeClient client, AccessRules rules, ImmutableArray<ResourceType> kinds, CancellationToken cancellationToken)
    {
        var open = kinds
            .SelectMany(type => new[] { (Type: type, Verb: "list"), (Type: type, Verb: "watch") })
            .Where(right => !rules.Allows(right.Verb, right.Type.Group, right.Type.Plural))
            .ToList();
        if (rules.Incomplete)
        {
            // An authorizer that cannot list its rules can still answer single questions.
            var verdicts = await Task.WhenAll(open.Take(MaxQuestions).Select(async right => (
                right, verdict: await client.CanIAsync(new AccessQuestion(right.Verb, right.Type.Group, right.Type.Plural), cancellationToken))));
            open = [.. verdicts.Where(asked => !asked.verdict.Allowed).Select(asked => asked.right)];
        }

        return [.. open.Select(right => $"{right.Verb} {right.Type.GroupResource}")];
    }

    // A server that says too much of itself or of us has taken us all the same: what it says is left unknown.
    private static async Task<T> KnownAsync<T>(Task<T> asked, T unknown, ImmutableArray<string>.Builder? warnings)
    {
        try
        {
            return await asked;
        }
        catch (KubeException e) when (e.Error.Reason == KubeErrorReasons.AnswerTooLarge)
        {
            warnings?.Add(e.Error.Message);
            return unknown;
        }
    }

    private static async Task<string> ReadIdentityAsync(KubeClient client, CancellationToken cancellationToken)
    {
        try
        {
            return await client.GetClusterUidAsync(cancellationToken);
        }
        catch (KubeException e) when (e.Kind is KubeErrorKind.Forbidden or KubeErrorKind.NotFound or KubeErrorKind.Protocol)
        {
            return "";   // without it only the warning about one server under two names is weaker
        }
    }

    private static ConnectionFindings With(ConnectionFindings findings, ClusterFault fault) => findings with { Faults = [.. findings.Faults, fault] };
}
