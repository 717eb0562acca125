using System.Collections.Immutable;

namespace MultiCluster.Kubernetes.Configuration;

/// <summary>How kubeconfigs are read.</summary>
public sealed record KubeconfigOptions
{
    /// <summary>Whether users with an <c>exec</c> plugin are taken. A plugin is a program that runs on this host with our rights.</summary>
    /// <value>Default false.</value>
    public bool AllowExec { get; init; }

    /// <summary>Folder that relative file references start from; null refuses every reference to a file.</summary>
    /// <remarks>Set by <see cref="Kubeconfig.Load"/>. Leave it null for text that came over the network: it must not read our files.</remarks>
    public string? BaseDirectory { get; init; }

    /// <summary>How to switch exec plugins on, as the end of a sentence for people.</summary>
    /// <value>Default names <c>AllowExec</c>.</value>
    public string ExecSwitch { get; init; } = "set AllowExec";
}

/// <summary>One thing that is wrong with a kubeconfig.</summary>
/// <param name="Source">File, or a name for the text.</param>
/// <param name="Context">Context; null when the fault concerns the file as a whole.</param>
/// <param name="Field">Field by its path, such as <c>users[dev].client-key-data</c>; null when there is none.</param>
/// <param name="Problem">What is wrong and what would be right, without any secret.</param>
public sealed record KubeconfigFault(string Source, string? Context, string? Field, string Problem)
{
    /// <summary>One sentence, or two, that name file, context and field.</summary>
    public override string ToString() => (Context, Field) switch
    {
        (null, null) => $"{Source}: {Problem}",
        (null, _) => $"{Source}, {Field}: {Problem}",
        (_, null) => $"{Source}, context {Context}: {Problem}",
        _ => $"{Source}, context {Context}, {Field}: {Problem}",
    };
}

/// <summary>One context of a kubeconfig.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Connection">Server and credentials; null when there are faults.</param>
/// <param name="Faults">What is wrong with it; empty when nothing is.</param>
public sealed record KubeconfigContext(string Name, ClusterConnection? Connection, ImmutableArray<KubeconfigFault> Faults)
{
    /// <summary>Name of its cluster entry.</summary>
    public string Cluster { get; init; } = "";

    /// <summary>Name of its user entry.</summary>
    public string User { get; init; } = "";

    /// <summary>Its default namespace; null when it names none.</summary>
    public string? Namespace { get; init; }
}

/// <summary>What a kubeconfig holds: good contexts beside faulty ones.</summary>
public sealed record KubeconfigResult
{
    /// <summary>File, or a name for the text.</summary>
    public required string Source { get; init; }

    /// <summary>Contexts in the order of the file.</summary>
    public ImmutableArray<KubeconfigContext> Contexts { get; init; } = [];

    /// <summary>The <c>current-context</c>; null when it is not set.</summary>
    public string? CurrentContext { get; init; }

    /// <summary>What is wrong with the file as a whole; then there are no contexts.</summary>
    public ImmutableArray<KubeconfigFault> Faults { get; init; } = [];

    /// <summary>The connection of one context.</summary>
    /// <param name="context">Name; null for the current context, or the only one.</param>
    /// <exception cref="KubeconfigException">The file or the context has faults, or there is no such context.</exception>
    public ClusterConnection Require(string? context = null) => Select(context is null ? [DefaultContext()] : [context])[0].Connection!;

    /// <summary>The contexts of these names, all of them whole.</summary>
    /// <param name="names">Names; empty for every context of the file.</param>
    /// <exception cref="KubeconfigException">Anything is wrong with any of them; it names every fault.</exception>
    public ImmutableArray<KubeconfigContext> Select(IReadOnlyCollection<string> names)
    {
        ArgumentNullException.ThrowIfNull(names);
        ImmutableArray<KubeconfigFault>.Builder faults = Faults.ToBuilder();
        ImmutableArray<KubeconfigContext>.Builder chosen = ImmutableArray.CreateBuilder<KubeconfigContext>();
        if (faults.Count == 0)
        {
            foreach (string name in names.Count > 0 ? names : Contexts.Select(c => c.Name))
            {
                if (Contexts.FirstOrDefault(c => c.Name == name) is not { } context)
                {
                    faults.Add(new KubeconfigFault(Source, name, null, $"There is no such context; the file has {Listed(Contexts.Select(c => c.Name))}."));
                    continue;
                }

                faults.AddRange(context.Faults);
                chosen.Add(context);
            }
        }

        return faults.Count == 0 ? chosen.ToImmutable() : throw new KubeconfigException(faults.ToImmutable());
    }

    private string DefaultContext()
    {
        if (!Faults.IsEmpty)
        {
            throw new KubeconfigException(Faults);
        }

        return CurrentContext ?? (Contexts.Length == 1
            ? Contexts[0].Name
            : throw new KubeconfigException([new KubeconfigFault(Source, null, "current-context", $"It is not set; name one of {Listed(Contexts.Select(c => c.Name))}.")]));
    }

    private static string Listed(IEnumerable<string> names)
    {
        string[] all = [.. names];
        return all.Length <= 10 ? string.Join(", ", all) : $"{string.Join(", ", all.Take(10))} and {all.Length - 10} more";
    }
}

/// <summary>A kubeconfig, or what was asked of it, has faults.</summary>
public sealed class KubeconfigException : Exception
{
    /// <summary>Names every fault, one a line.</summary>
    public KubeconfigException(ImmutableArray<KubeconfigFault> faults)
        : base(string.Join('\n', faults)) => Faults = faults;

    /// <summary>What is wrong.</summary>
    public ImmutableArray<KubeconfigFault> Faults { get; }
}
