namespace MultiCluster.Deploy.Tests.Support;

/// <summary>The files under test, where they lie in the repository.</summary>
internal static class Repository
{
    public static string Root { get; } = Find();

    public static string Deploy { get; } = Path.Combine(Root, "deploy");

    /// <summary>What people apply, by folder below <c>deploy</c>.</summary>
    public static string[] Kustomizations { get; } =
        ["overlays/single", "overlays/ha", "overlays/example-postgresql", "member-access/read-only", "member-access/read-write", "monitoring"];

    /// <summary>Those of them that run the service.</summary>
    public static string[] Overlays { get; } = [.. Kustomizations.Where(k => k.StartsWith("overlays/", StringComparison.Ordinal))];

    public static string Read(string path) => File.ReadAllText(Path.Combine(Root, path));

    private static string Find()
    {
        string? folder = AppContext.BaseDirectory;
        while (folder is not null && !File.Exists(Path.Combine(folder, "MultiCluster.sln")))
        {
            folder = Path.GetDirectoryName(folder);
        }

        return folder ?? throw new InvalidOperationException("The tests run from inside the repository.");
    }
}
