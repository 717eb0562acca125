using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.DataProtection.KeyManagement;
using Microsoft.Extensions.DependencyInjection;
using MultiCluster.Silo.Database;
using MultiCluster.TestSupport;

namespace MultiCluster.Silo.Tests.Database;

[Collection(DatabaseCollection.Name)]
public sealed class DatabaseKeyRepositoryTests(PostgresServer server)
{
    [PostgresFact]
    public async Task Protect_InOneProcess_UnprotectInAnother_AlsoAfterRotation()
    {
        await using TestDatabase database = await TestDatabase.CreateAsync(server);
        await using ServiceProvider one = Process(database);
        string before = one.GetDataProtector("test").Protect("credential");
        DateTimeOffset now = TimeProvider.System.GetUtcNow();
        one.GetRequiredService<IKeyManager>().CreateNewKey(now, now.AddDays(90));

        await using ServiceProvider other = Process(database);

        Assert.Equal("credential", other.GetDataProtector("test").Unprotect(before));
        Assert.Equal(2, await database.ScalarAsync<int>("SELECT count(*)::integer FROM data_protection_key"));
    }

    private static ServiceProvider Process(TestDatabase database)
    {
        var services = new ServiceCollection();
        services.AddDataProtection().SetApplicationName("MultiCluster");
        services.Configure<KeyManagementOptions>(o => o.XmlRepository = new DatabaseKeyRepository(database.Source));
        return services.BuildServiceProvider();
    }
}
