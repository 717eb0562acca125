using System.Text.RegularExpressions;
using System.Xml.Linq;
using MultiCluster.Deploy.Tests.Support;

namespace MultiCluster.Deploy.Tests.Image;

/// <summary>What can be said of the image without building it.</summary>
public sealed partial class DockerfileTests
{
    private static readonly string[] Lines = Repository.Read("deploy/Dockerfile").Split('\n');

    [Fact]
    public void Restore_SeesEveryProjectOfTheService_AndNoOther()
    {
        HashSet<string> needed = [];
        Collect("Silo/Silo.csproj", needed);
        needed.Add("Engine/Engine.csproj");   // brought by Directory.Build.targets, for the in-process engine

        Assert.Equal(
            needed.Order(StringComparer.Ordinal),
            Lines.Where(l => l.StartsWith("COPY ", StringComparison.Ordinal)).SelectMany(l => l.Split(' ')).Where(w => w.EndsWith(".csproj", StringComparison.Ordinal)).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Context_HoldsTheProjects_AndNothingElse()
    {
        string[] ignore = [.. Repository.Read(".dockerignore").Split('\n').Where(l => l.Length > 0 && l[0] != '#')];
        HashSet<string> needed = [];
        Collect("Silo/Silo.csproj", needed);

        Assert.Equal("*", ignore[0]);
        Assert.All(needed.Append("Engine/Engine.csproj"), project => Assert.Contains($"!{project.Split('/')[0]}", ignore));
        Assert.All((string[])["Directory.*.props", "Directory.*.targets", "BannedSymbols.txt", ".editorconfig", "global.json"], file => Assert.Contains($"!{file}", ignore));
        Assert.DoesNotContain(ignore, l => l.StartsWith("!.git", StringComparison.Ordinal) || l.StartsWith("!tests", StringComparison.Ordinal) || l.StartsWith("!data", StringComparison.Ordinal));
    }

    [Fact]
    public void Image_RunsAsNobody_FromAFixedBase_WithoutSecrets()
    {
        Assert.Equal("USER 1654:1654", Assert.Single(Lines, l => l.StartsWith("USER ", StringComparison.Ordinal)));
        Assert.All(Lines.Where(l => l.StartsWith("FROM ", StringComparison.Ordinal)), l => Assert.Matches(@"^FROM (--platform=\S+ )?mcr\.microsoft\.com/dotnet/(sdk|aspnet):\$\{DOTNET\}(-alpine)? AS \w+$", l));
        Assert.DoesNotContain(Lines, l => SecretWords().IsMatch(l));
        Assert.Contains("VOLUME /data", Lines);
        Assert.Contains(Lines, l => l.StartsWith("HEALTHCHECK ", StringComparison.Ordinal));
        Assert.Contains("""ENTRYPOINT ["dotnet", "MultiCluster.Silo.dll"]""", Lines);
    }

    private static void Collect(string project, HashSet<string> found)
    {
        if (found.Add(project))
        {
            foreach (XElement reference in XDocument.Parse(Repository.Read(project)).Descendants("ProjectReference"))
            {
                Collect(reference.Attribute("Include")!.Value.Replace("../", "", StringComparison.Ordinal), found);
            }
        }
    }

    [GeneratedRegex("^(ARG|ENV) .*(PASSWORD|TOKEN|SECRET|KEY)", RegexOptions.IgnoreCase)]
    private static partial Regex SecretWords();
}
