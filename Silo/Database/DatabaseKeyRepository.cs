using System.Xml.Linq;
using Microsoft.AspNetCore.DataProtection.Repositories;
using Npgsql;

namespace MultiCluster.Silo.Database;

/// <summary>Keeps the keys that encrypt member credentials in the database, so that every silo and gateway reads what any of them wrote.</summary>
/// <remarks>Thread-safe. Keys are only ever added: an old one must decrypt what it encrypted.</remarks>
internal sealed class DatabaseKeyRepository(NpgsqlDataSource database) : IXmlRepository
{
    /// <inheritdoc/>
    public IReadOnlyCollection<XElement> GetAllElements()
    {
        using NpgsqlCommand command = database.CreateCommand("SELECT xml FROM data_protection_key ORDER BY id");
        using NpgsqlDataReader reader = command.ExecuteReader();
        List<XElement> keys = [];
        while (reader.Read())
        {
            keys.Add(XElement.Parse(reader.GetString(0)));
        }

        return keys;
    }

    /// <inheritdoc/>
    public void StoreElement(XElement element, string friendlyName)
    {
        ArgumentNullException.ThrowIfNull(element);
        using NpgsqlCommand command = database.CreateCommand("INSERT INTO data_protection_key (name, xml) VALUES (@name, @xml) ON CONFLICT (name) DO NOTHING");
        command.Parameters.AddWithValue("name", friendlyName);
        command.Parameters.AddWithValue("xml", element.ToString(SaveOptions.DisableFormatting));
        command.ExecuteNonQuery();
    }
}
