using System.Diagnostics;
using System.Text.Json.Nodes;
using MultiCluster.Deploy.Tests.Support;
using MultiCluster.Silo.Hosting;
using MultiCluster.TestSupport;

namespace MultiCluster.Deploy.Tests.Overlays;

/// <summary>Every setting that a manifest gives is one that the service reads. In the environment a slip would be ignored; in a file it is refused.</summary>
public sealed class SettingsTests
{
    private const string Prefix = "MULTICLUSTER_";

    [RequiresToolFact("kubectl", Kubectl.Trial)]
    public async Task Settings_OfEveryContainer_AreRead()
    {
        Dictionary<string, Dictionary<string, string>> distinct = [];
        foreach (string overlay in Repository.Overlays)
        {
            List<JsonObject> manifests = await Kubectl.RenderAsync(overlay);
            foreach (Workload workload in manifests.Workloads().Where(w => w.IsOurs))
            {
                foreach (JsonObject container in workload.AllContainers)
                {
                    Dictionary<string, string> settings = SettingsOf(container, manifests);
                    distinct[string.Join('\n', settings.Select(p => $"{p.Key}={p.Value}"))] = settings;
                }
            }
        }

        Assert.Equal(4, distinct.Count);   // one process, silo, gateway, migration
        foreach (Dictionary<string, string> settings in distinct.Values)
        {
            Assert.True(!settings.TryGetValue("Service__Role", out string? role) || Enum.GetNames<ServiceRole>().Contains(role), role);

            // All settings were read, down to the connection string, for it went on to look for the database.
            Assert.StartsWith("PostgreSQL at 127.0.0.1:1 cannot be reached", await RefusalAsync(settings), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Settings_WithASlip_AreRefused()
    {
        string error = await RefusalAsync(new Dictionary<string, string> { ["Service__Rol"] = "Silo" });

        Assert.Contains("There is no setting Service:Rol", error, StringComparison.Ordinal);
    }

    private static Dictionary<string, string> SettingsOf(JsonObject container, List<JsonObject> manifests)
    {
        IEnumerable<KeyValuePair<string, string>> fromMaps = container.Items("envFrom").Select(e => e.Text("configMapRef.name"))
            .SelectMany(name => manifests.Single(m => m.Id() == $"ConfigMap/{name}").Labels("data"));
        IEnumerable<KeyValuePair<string, string>> own = container.Items("env").Select(e => KeyValuePair.Create(e.Text("name"), e["value"] is null ? "10.0.0.1" : e.Text("value")));
        return fromMaps.Concat(own).Where(p => p.Key.StartsWith(Prefix, StringComparison.Ordinal)).ToDictionary(p => p.Key[Prefix.Length..], p => p.Value);
    }

    /// <summary>Runs the real program with the settings as a file, for a database that is not there.</summary>
    private static async Task<string> RefusalAsync(Dictionary<string, string> settings)
    {
        string folder = Directory.CreateTempSubdirectory("mc-deploy-").FullName;
        try
        {
            string password = Path.Combine(folder, "password");
            await File.WriteAllTextAsync(password, "secret\n");
            var file = new JsonObject();
            foreach ((string key, string value) in settings)
            {
                Set(file, key.Split("__"), value);
            }

            string connection = file.Text("Database.ConnectionString");
            Set(file, ["Database", "ConnectionString"], connection.Length > 0 ? $"{connection};Host=127.0.0.1;Port=1" : "Host=127.0.0.1;Port=1");
            Set(file, ["Database", "PasswordFile"], password);
            string path = Path.Combine(folder, "settings.json");
            await File.WriteAllTextAsync(path, file.ToJsonString());
            using var process = Process.Start(new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "MultiCluster.Silo.dll"), "--config", path, "database", "migrate"])
            {
                UseShellExecute = false,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            })!;
            Task<string> output = process.StandardOutput.ReadToEndAsync();
            Task<string> error = process.StandardError.ReadToEndAsync();
            await process.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(30));
            return await error + await output;
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static void Set(JsonObject file, string[] path, string value)
    {
        JsonObject at = file;
        foreach (string section in path[..^1])
        {
            at = (JsonObject)(at[section] ??= new JsonObject());
        }

        at[path[^1]] = value;
    }
}
